"""Where it is: picture embeddings and scene clusters."""
