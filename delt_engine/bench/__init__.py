"""How fast the engine is against plain code that does the same."""
