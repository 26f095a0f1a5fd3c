"""Learning from corrections: linear maps and thresholds, judged on held-out corrections."""
