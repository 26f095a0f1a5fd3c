"""Human corrections: their record, their replay, and what is learned from them."""
