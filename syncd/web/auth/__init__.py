"""Who may see and do what: sign-in, sessions, tokens, headers."""
