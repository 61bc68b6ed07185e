"""Real data: what a dataset is, where each comes from, and its pixels."""
