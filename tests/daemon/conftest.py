"""The college of the passes, for daemons."""

from tests.support.college import found, no_pauses_between_attempts, quiet_log, state_url

__all__ = ["found", "no_pauses_between_attempts", "quiet_log", "state_url"]
