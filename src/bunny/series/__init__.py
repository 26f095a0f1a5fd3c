"""The same people through many films: shared identities, references and training sets."""
