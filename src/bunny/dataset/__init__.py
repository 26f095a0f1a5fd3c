"""Training sets: candidate views, selection, crops, captions of crops, splits, coverage."""
