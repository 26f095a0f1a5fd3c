"""Faces of people: detectors, recognisers, pose."""
