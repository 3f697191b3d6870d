"""The daemon: it looks when the schedule says so, and ends when it is told to."""
