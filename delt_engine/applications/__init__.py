"""What a distilled set does besides training students: a network is pruned on it, or it is the memory of classes."""
