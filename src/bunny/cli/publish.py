"""Publishing to a database: commands."""
