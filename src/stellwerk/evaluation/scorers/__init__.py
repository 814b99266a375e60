"""Scorers: each turns a case and its answer into a score; `registry.py` knows them all by their types."""
