"""Searching names and segment IDs, however many there are."""
