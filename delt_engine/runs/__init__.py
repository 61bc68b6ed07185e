"""The run folder: its record, events, images, predictions and checkpoints, and what can be read from them."""
