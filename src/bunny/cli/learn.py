"""Learning from corrections: commands."""
