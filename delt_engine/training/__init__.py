"""Training: teachers and students, what they see, what they are trained towards, and how they are tested."""
