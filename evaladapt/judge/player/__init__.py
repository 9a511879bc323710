"""The judge's end of a player's process: starting, sealing and hearing it."""
