"""Evaluation of an adapter: identity, copying, diversity, intervals, verdict."""
