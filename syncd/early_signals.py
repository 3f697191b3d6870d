"""Signals that reach the daemon while it is still being imported, which takes a second or more.

The system's default for each of them is to end the process. This module imports almost nothing, so that it comes first.
"""

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Final

_STOP: Final = ("SIGTERM", "SIGINT")
_KEEP: Final = ("SIGHUP", "SIGUSR1")
#: The options before the command that take a value.
_WITH_VALUE: Final = ("-c", "--config")

_kept: Final[set[int]] = set()


def is_daemon(arguments: Sequence[str]) -> bool:
    """Whether the command in these arguments is 'run'."""
    rest = iter(arguments)
    for each in rest:
        if each in _WITH_VALUE:
            next(rest, None)
        elif not each.startswith("-"):
            return each == "run"
    return False


def install() -> None:
    """Handle the daemon's signals until it handles them itself.

    Nothing has begun yet, so SIGTERM and SIGINT end the process at once, with 0 as later. SIGHUP and SIGUSR1 are kept.
    """
    for names, handler in ((_STOP, _stop), (_KEEP, _keep)):
        for name in names:
            # Windows does not have all of them.
            if number := getattr(signal, name, None):
                signal.signal(number, handler)


def was_received(number: int) -> bool:
    """Whether a signal was kept that has not been asked for yet; call it once there is another handler for it."""
    if number not in _kept:
        return False
    _kept.discard(number)
    return True


def _stop(_number: int, _frame: FrameType | None) -> None:
    # An exception might be caught by a library that is being imported.
    os._exit(0)


def _keep(number: int, _frame: FrameType | None) -> None:
    _kept.add(number)
