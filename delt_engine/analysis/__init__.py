"""What finished images are like: how alike a class is, where images lie on a map, and what a run costs."""
