"""Characters: faces, drawn figures, tracks, reference pictures, identification."""
