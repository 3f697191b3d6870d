"""Servers and drivers that stand in for what cannot run beside the tests."""
