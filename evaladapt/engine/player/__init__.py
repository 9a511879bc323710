"""What runs in a player's process: its program, its end of the exchange, and what it makes of a recipe."""
