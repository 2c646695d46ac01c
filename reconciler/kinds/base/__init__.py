"""What the pure halves of all kinds are made of: the context and the steps of a plan, back-off, comparison."""
