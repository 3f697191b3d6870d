"""One pass: settle, read, compare, guard, send, finish."""
