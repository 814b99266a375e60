"""What the benchmark `acquire` runs in processes of their own: our readers and those of others, on the same input."""
