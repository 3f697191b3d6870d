"""Notifications: what is sent, when, and through which channel."""
