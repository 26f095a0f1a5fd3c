"""Timelines for editors: clips of a film with exact timecode, and the way back to its pictures."""
