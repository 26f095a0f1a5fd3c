"""Workspace and settings of the film that a command names."""
