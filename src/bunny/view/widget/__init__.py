"""Widgets of the notebooks: sliders, galleries, search."""
