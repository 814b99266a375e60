"""Readers of files: one module a format; `reading` is the front."""
