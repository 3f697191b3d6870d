"""The daemon: when to run, and what it runs."""
