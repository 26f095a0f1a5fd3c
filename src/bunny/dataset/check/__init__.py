"""Preview of a folder as trainers read it: files, buckets, steps; see `trainer_preview`."""
