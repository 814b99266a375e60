"""The ways in: command line, Python."""
