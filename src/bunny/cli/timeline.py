"""Timelines for editors: commands."""
