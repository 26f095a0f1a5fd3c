"""Pairs of pictures for edit and reference models, chosen from the tables of a film."""
