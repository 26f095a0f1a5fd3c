"""Who is seen: faces, drawn characters, tracks, references, matches."""
