"""`syncd init`: the conversation that writes a configuration."""
