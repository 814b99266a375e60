"""Ratings by people: what is drawn for them, what they said, and how far they agree. The product's one module for labelling."""
