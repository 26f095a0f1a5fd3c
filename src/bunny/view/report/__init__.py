"""The report of a film and the evaluation: sections of one HTML page."""
