"""`bunny lab`: JupyterLab in the notebook folder."""
