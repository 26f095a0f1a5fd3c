"""Stages: each reads tables, calls its domain and writes tables."""
