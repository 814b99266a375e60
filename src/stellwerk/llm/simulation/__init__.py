"""How simulated models answer: plans that a test or a lesson plants. Knows no network; equal questions get equal answers."""
