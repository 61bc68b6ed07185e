"""The stages of a run, one file each, and the way from a queued run to a finished one."""
