"""Networks by name, and teachers: the files they are kept in, how they are loaded, and how they are checked."""
