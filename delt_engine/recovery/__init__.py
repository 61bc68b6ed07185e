"""Recovery: the EarlyLate schedule, the crop curriculum, the objective, and the loop that optimises images."""
