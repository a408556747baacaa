"""Activity: what changed, by whom, in which channel."""
