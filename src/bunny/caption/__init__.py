"""Words for pictures: tags from the tables, or a language model."""
