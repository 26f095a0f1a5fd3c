"""The seven stages: each ties a domain to its tables."""
