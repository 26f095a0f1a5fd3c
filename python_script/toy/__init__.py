"""Training of the toy base and of its judge; the package has the finished weights."""
