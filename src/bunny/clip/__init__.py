"""Clips of characters: runs of frames for trainers of video models."""
