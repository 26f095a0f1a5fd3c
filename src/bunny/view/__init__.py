"""Plots, widgets, the report."""
