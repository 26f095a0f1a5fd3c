"""Search over films: catalogue, vectors, filters, ranking."""
