"""Many segments at once: the bar above the list, its question, and who does what it says."""
