"""Every error a person may meet.

SyncdError                     one or two plain sentences: what, where, what to do; exit 1
├── ConfigurationError         the configuration file, the environment, a feed's columns
├── MisUnreachable             the MIS does not answer, or refuses the query
├── StateUnusable              the state store: unreachable, newer schema, wrong key
├── NothingToSettle            approve or reject with no such run waiting
├── AnotherRun                 the lock is held; exit 5
├── LockLost                   the lock was held and is no longer
├── Unforeseen                 a run met a defect of syncd's; the log says where
├── DaemonBroken               the daemon cannot go on, for a reason that nobody has foreseen
├── NotTold                    a notification did not go
└── OneFileError
    ├── OneFileUnreachable     no answer, or one that says to come back later; nothing was done
    ├── CredentialsRefused     the customer token, or what it may see
    ├── Refused                OneFile understood and said no
    └── AnswerLost             the call may or may not have been done
"""


class SyncdError(Exception):
    """What a person sees instead of a traceback; ``str()`` of it is the whole message."""

    exit_code = 1


class ConfigurationError(SyncdError):
    """The configuration cannot be used; the message names the file, the key and the nearest valid name."""


class MisUnreachable(SyncdError):
    """The MIS could not be read."""


class StateUnusable(SyncdError):
    """The state store could not be used."""


class NothingToSettle(SyncdError):
    """There is no run that waits for approval, or not the one that was named."""


class AnotherRun(SyncdError):
    """Another process is writing for this organisation."""

    exit_code = 5


class LockLost(SyncdError):
    """This process may write no more: another one may have begun to."""


class Unforeseen(SyncdError):
    """Something that nobody has foreseen has ended a run: a defect, whose own words may quote values."""


class DaemonBroken(SyncdError):
    """The daemon lives and would do nothing any more, so it ends; whoever looks after services starts it again."""


class NotTold(SyncdError):
    """A notification could not be sent; it is tried again."""


class OneFileError(SyncdError):
    """A call to OneFile did not succeed."""

    attempts = 1
    """How often it was made."""


class OneFileUnreachable(OneFileError):
    """OneFile did not take the call; it may be made again."""


class CredentialsRefused(OneFileError):
    """OneFile does not accept the customer token, or not for this organisation."""


class Refused(OneFileError):
    """OneFile refused this one call.

    ``status`` is the HTTP status, ``message`` OneFile's own words, which may repeat what was sent to it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"OneFile refused the call with status {status}.")
        self.status = status
        self.message = message


class AnswerLost(OneFileError):
    """The call was sent, and what came back does not tell whether it was done.

    ``status`` is the HTTP status, or ``None`` when there was no answer at all.
    """

    def __init__(self, status: int | None = None) -> None:
        super().__init__("OneFile did not say whether the call was done.")
        self.status = status
