"""The priorities by which systemd's journal filters lines of standard error."""

import logging
import os
import sys
from typing import Final

#: Those of sd-daemon(3), which 'journalctl --priority' filters by.
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def with_priority(text: str, level: int) -> str:
    """Return a text for standard error: if systemd's journal reads it, each line begins with its priority.

    systemd removes the prefix again. Otherwise the text is unchanged. ``level`` is one of `logging`'s.
    """
    if not _is_read_by_journal():
        return text
    prefix = f"<{_PRIORITIES.get(level, _PRIORITIES[logging.INFO])}>"
    return "\n".join(f"{prefix}{line}" for line in text.split("\n"))


def _is_read_by_journal() -> bool:
    """Whether standard error is the stream that JOURNAL_STREAM names; it is not if it was redirected."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"
