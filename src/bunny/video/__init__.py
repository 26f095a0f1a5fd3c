"""Films: probing, decoding, shots and the frames taken from them."""
