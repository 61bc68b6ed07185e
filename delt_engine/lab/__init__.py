"""The early-versus-late lab: what is recorded of a few patches, and how it is stored and shown."""
