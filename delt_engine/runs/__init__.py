"""Runs: the folder a run is, the pipeline that fills it, and the processes that work on it."""
