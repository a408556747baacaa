"""Segments across channels: each once, whichever channels it is in."""
