"""`bunny check`: pictures, steps and losses that a trainer will see of a training set."""
