"""`bunny report`: the report of a film written again."""
