"""Drawn characters: feature maps, figures, detectors, the medium of a shot."""
