"""What `forking` forks from: every command of syncd, and what a command imports only if it needs it."""

import gc

import alembic.command
import alembic.config
import cryptography.fernet
import email_validator
import httpx

import syncd.logs
from syncd.cli.commands import COMMANDS
from syncd.cli.program import program

__all__ = ["alembic", "cryptography", "email_validator", "httpx", "syncd"]

program().import_commands(COMMANDS)
# A process that is forked then shares this memory until its end: its garbage collector does not touch it.
gc.collect()
gc.freeze()
