"""Generation: requests, samplers, adapters, provenance and grids of pictures."""
