"""Diffusion Bunny: from a film and pictures of its characters to a training set and a LoRA."""

__version__ = "0.1.0"
