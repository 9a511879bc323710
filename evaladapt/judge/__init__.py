"""The judge: the process that holds the text and charges, and how it starts, seals, asks and doubts a player."""
