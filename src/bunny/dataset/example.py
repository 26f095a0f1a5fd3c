"""Training examples: a picture with its caption, mask and weight."""
