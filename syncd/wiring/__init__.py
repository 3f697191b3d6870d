"""Builds the parts from the configuration and connects them; the only place that does."""
