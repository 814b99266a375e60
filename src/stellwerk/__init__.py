"""Stellwerk: the signal box for generative AI in a company."""

__version__ = "0.1.0"
