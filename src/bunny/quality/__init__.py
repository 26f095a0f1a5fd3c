"""Image quality: measures, near duplicates, thresholds and the decision to keep a frame."""
