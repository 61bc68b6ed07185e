"""Real patches: what the teacher thinks of each, which ones are selected, and in what order they join."""
