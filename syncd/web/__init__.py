"""The admin endpoints and pages of a running daemon, for monitors and people."""
