"""Doubting a player: which targets twins are asked for, the asking, and what convicts."""
