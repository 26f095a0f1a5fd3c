"""`bunny status`: stages that are done, stale (and why) or never ran."""
