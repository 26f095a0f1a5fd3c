"""Mark of columns whose values are, or become, paths of files.

They are relative to the folder that their comment names, by default the film's. `store` refuses a
table in which one leads out of it.
"""

IS_PATH = {"is_path": True}  # `metadata` of a column of texts, or of a list of them
