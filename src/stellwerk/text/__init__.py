"""What several jobs ask of text."""
