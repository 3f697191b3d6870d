"""Authentication and access: sign-in, sessions, tokens, headers."""
