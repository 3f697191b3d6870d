"""The command line: parse, call, print; no decision is made here."""

from syncd.cli.program import main

__all__ = ["main"]
