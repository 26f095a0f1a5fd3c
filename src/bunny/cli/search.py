"""Finding shots: commands."""
