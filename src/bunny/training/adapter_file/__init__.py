"""Adapter files: written, read, checked and converted between the forms that other tools load."""
