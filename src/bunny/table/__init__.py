"""Tables: declared once, read, written, joined."""
