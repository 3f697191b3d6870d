"""One run: settle, read, compare, guard, send, finish."""
