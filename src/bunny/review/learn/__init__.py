"""What is learned from corrections: a map of vectors, judged on corrections that were held out."""
