"""Undoing a change: its page, and the job of a large one."""
