"""What the benchmark `evaluation` needs: the task, a model's endpoint that answers it, and who is asked to test with it."""
