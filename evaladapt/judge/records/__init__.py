"""What a run leaves: its record and verdict, its folder, its ledger and what continues it."""
