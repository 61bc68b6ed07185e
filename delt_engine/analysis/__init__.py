"""What finished images are like: how alike a class is, how far images moved, and the early-versus-late lab."""
