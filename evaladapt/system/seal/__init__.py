"""The seal: what a process can no longer ask of the system."""
