"""The commands, run in this process: what a person reads."""
