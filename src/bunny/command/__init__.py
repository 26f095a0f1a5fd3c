"""Commands of `bunny`, one module each, named as typed."""
