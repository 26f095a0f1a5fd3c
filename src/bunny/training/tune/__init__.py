"""The fine-tune: settings, the order of pictures, caches, the step, checkpoints, checks."""
