"""What people do with runs: call them from Python, and take their results apart by document."""
