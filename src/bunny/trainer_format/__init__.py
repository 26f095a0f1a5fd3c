"""Training sets in the formats of other trainers: written, and read as each trainer reads them."""
