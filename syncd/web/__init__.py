"""The admin endpoints: what monitors and people ask a running daemon."""
