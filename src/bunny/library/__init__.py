"""The film as an asset library: search, timelines, publishing."""
