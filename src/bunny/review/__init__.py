"""Human corrections: the record of them, what follows from them, and what is learned from them."""
