"""Scenes: frame embeddings, clusters of shots in one place, and their stability."""
