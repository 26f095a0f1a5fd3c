"""The board and corrections: commands."""
