"""`bunny export json`: metadata.json of a film."""
