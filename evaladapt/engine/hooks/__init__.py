"""Calling strategies: what they are handed, what is asked of their answers, what is kept of their state."""
