"""The commands, one file each. Results go to stdout, progress and messages to stderr."""
