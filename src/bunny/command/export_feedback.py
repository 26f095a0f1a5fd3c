"""`bunny export feedback`: corrections as JSON lines: anchor, positive, label."""
