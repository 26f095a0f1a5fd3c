"""Options that the command line shows, as the dataclasses that commands take."""
