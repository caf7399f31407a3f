"""Simulated deposits in the real deposits' layouts, with the truth beside them."""
