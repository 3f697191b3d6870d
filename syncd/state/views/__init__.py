"""Queries for people and monitors: status, runs, search, reports, audit trail."""
