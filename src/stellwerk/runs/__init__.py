"""The operations on runs themselves: list, show, follow, cancel, resume."""
