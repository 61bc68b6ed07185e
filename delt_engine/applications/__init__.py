"""What a distilled set is good for besides training students: a trained network is pruned on it."""
