"""Where batches are worked: map and group."""
