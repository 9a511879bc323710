"""The loop as a player runs it: predict, adapt, transform, mix; parts and windows."""
