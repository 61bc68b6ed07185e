"""Processes: how one is started, queued, asked to stop, and which of several ranks it is."""
