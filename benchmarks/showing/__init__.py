"""What the benchmark of the pages needs: a record that has seen much, and a dataset of a million rows."""
