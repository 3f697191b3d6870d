"""What the tests of a pass have, for those that break what a pass stands on."""

from tests.support.college import found, no_pauses_between_attempts, quiet_log, state_url

__all__ = ["found", "no_pauses_between_attempts", "quiet_log", "state_url"]
