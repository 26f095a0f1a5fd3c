"""Generation: what a picture is drawn from, how it is drawn, and its provenance."""
