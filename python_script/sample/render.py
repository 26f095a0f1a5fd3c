"""Rendering of the sample world: scenes as pictures, masks and boxes of who is in them."""
