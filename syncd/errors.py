"""Every error a person may meet.

SyncdError                     one or two plain sentences: what, where, what to do; exit 1
├── ConfigurationError         the configuration file, the environment, a feed's columns
├── MisUnreachable             the MIS does not answer, or refuses the query
├── StateUnusable              the state store: newer schema, wrong key
│   └── StateUnreachable       … it cannot be reached or written to: the daemon waits for it
├── NothingToSettle            approve, reject, rekey, … with nothing there that they could be about
├── LinksUnusable              the CSV of links that a person has approved
├── AnotherRun                 the lock is held; exit 5
├── LockLost                   the lock was held and is no longer
├── Unforeseen                 a run met a defect of syncd's; the log says where
├── DaemonBroken               the daemon cannot go on, for a reason that nobody has foreseen
├── NotTold                    a notification did not go
├── StoryBroken                the demo
└── OneFileError
    ├── OneFileUnreachable     no answer, or one that says to come back later; nothing was done
    ├── CredentialsRefused     the customer token, or what it may see
    ├── Refused                OneFile understood and said no
    └── AnswerLost             the call may or may not have been done

Each kind has a ``title``, a ``meaning`` and a ``remedy``, which 'syncd help' lists: the message itself says what this
one error is about, these say what all of its kind have in common.
"""

from typing import ClassVar


class SyncdError(Exception):
    """What a person sees instead of a traceback; ``str()`` of it is the whole message."""

    exit_code = 1

    title: ClassVar[str]
    """What people call it."""
    meaning: ClassVar[str]
    """What it says of the run, and of what was done by then."""
    remedy: ClassVar[str]
    """What to do."""


class ConfigurationError(SyncdError):
    """The configuration cannot be used; the message names the file, the key and the nearest valid name."""

    title = "configuration"
    meaning = (
        "syncd.toml, a variable SYNCD_…, a feed's columns or a file that a command was given cannot be used, or they "
        "are not those of the state store. Nothing was sent."
    )
    remedy = "Correct what the message names. 'syncd doctor' then checks the rest, and 'syncd init' writes an example."


class MisUnreachable(SyncdError):
    """The MIS could not be read."""

    title = "MIS"
    meaning = "The MIS does not answer, or does not run a feed's query. Nobody is taken for a leaver because of it."
    remedy = (
        "Can this machine reach the database, and may the login of source.url read there? Try the query in the "
        "database's own tools. The daemon asks again by itself."
    )


class StateUnusable(SyncdError):
    """The state store could not be used."""

    title = "state store"
    meaning = (
        "The database where syncd remembers who is which account cannot be used: it is unreachable, full, of a newer "
        "version, or encrypted with another key."
    )
    remedy = (
        "Put right what the message names. Never delete the store to get on: without it syncd does not know whose "
        "accounts are whose. 'syncd db check' looks at it, and a backup or 'syncd link' brings a lost one back."
    )


class StateUnreachable(StateUnusable):
    """The state store cannot be reached, read or written to now; it may be later, without a change to syncd."""

    title = "state store unreachable"
    meaning = (
        "The database of the state store does not answer, its disk is full, or its file belongs to another user. "
        "The daemon waits for it and tries again every second; /readyz says that it is not ready."
    )
    remedy = (
        "Start the database, or do what the message says about the file. The daemon goes on by itself. "
        "'syncd doctor', run by root, says what a service will meet."
    )


class NothingToSettle(SyncdError):
    """There is no run that waits for approval or account that a command could be about, or not the one named."""

    title = "nothing to settle"
    meaning = (
        "No run waits for an answer, or there is no such account for the command to be about. Nothing was changed."
    )
    remedy = "'syncd status' shows which run waits, 'syncd accounts' which accounts there are."


class LinksUnusable(SyncdError):
    """The links a person has chosen cannot be made; the message says where and why, and that nothing was changed."""

    title = "links"
    meaning = "A row of the file that was given to 'syncd link --apply' cannot be right. None of the rows was applied."
    remedy = "Correct the row that the message names, and run the command again."


class AnotherRun(SyncdError):
    """Another process is writing for this organisation."""

    exit_code = 5

    title = "another run"
    meaning = "Another syncd is at work for this organisation, and there is never more than one. Nothing was done."
    remedy = "'syncd status' shows it. Try again when it is done, or ask the daemon with 'syncd resync --wait'."


class LockLost(SyncdError):
    """This process may write no more: another one may have begun to."""

    title = "lock lost"
    meaning = "The connection to the state store broke in the middle of a run, so no further call was made."
    remedy = (
        "Nothing is lost: the next run settles what was in flight and goes on. If it recurs, look at that database."
    )


class Unforeseen(SyncdError):
    """Something that nobody has foreseen has ended a run: a defect, whose own words may quote values."""

    title = "unforeseen"
    meaning = (
        "A run met something that syncd does not know, and ended there. What was sent by then is written down, and "
        "whatever is in doubt the next run settles."
    )
    remedy = "Please report it with the line 'run_finished' of the log, which says where it was, and holds no value."


class DaemonBroken(SyncdError):
    """The daemon lives and would do nothing any more, so it ends; whoever looks after services starts it again."""

    title = "daemon"
    meaning = "The daemon could not go on, for a reason that nobody has foreseen, and ended rather than do nothing."
    remedy = "systemd or Docker starts it again; by hand it is 'syncd run'. Please report it, with the last of its log."


class NotTold(SyncdError):
    """A notification could not be sent; it is tried again."""

    title = "notification"
    meaning = "A service in notify.urls could not be reached, or did not take the message. Runs go on meanwhile."
    remedy = "It is tried again. 'syncd notify test' tries each of the services."


class StoryBroken(SyncdError):
    """The demo could not be told, or did not go as it says; the message is what there is to know of it."""

    title = "demo"
    meaning = "The demo could not be set up, or one of its steps did not end as it should."
    remedy = "Delete its folder and start it again. If it recurs, please report it."


class OneFileError(SyncdError):
    """A call to OneFile did not succeed."""

    attempts = 1
    """How often it was made."""


class OneFileUnreachable(OneFileError):
    """OneFile did not take the call; it may be made again."""

    title = "OneFile unreachable"
    meaning = "OneFile does not answer, or says to come back later. What was not sent counts as nobody's failure."
    remedy = "The next run goes on from here, and the daemon asks again by itself. If it lasts: 'syncd doctor'."


class CredentialsRefused(OneFileError):
    """OneFile does not accept the customer token, or not for this organisation."""

    title = "customer token"
    meaning = "OneFile does not accept the customer token, or the token does not see the organisation."
    remedy = (
        "Each environment (live, practice, beta) has a token of its own, which OneFile's support issues to Centre "
        "Managers. Compare onefile.environment, onefile.organisation_id and the token; 'syncd doctor' says whose it is."
    )


class Refused(OneFileError):
    """OneFile refused this one call.

    ``status`` is the HTTP status, ``message`` OneFile's own words, which may repeat what was sent to it.
    """

    title = "refused"
    meaning = "OneFile understood a call and said no to it. Everybody else is sent."
    remedy = "'syncd held' has OneFile's own words, and says what to do."

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"OneFile refused the call with status {status}.")
        self.status = status
        self.message = message


class AnswerLost(OneFileError):
    """The call was sent, and what came back does not tell whether it was done.

    ``status`` is the HTTP status, or ``None`` when there was no answer at all.
    """

    title = "answer lost"
    meaning = "A call was sent and its answer never came, so it may or may not have been done."
    remedy = "Nothing: before anything else is created, the next run looks in OneFile for what became of it."

    def __init__(self, status: int | None = None) -> None:
        super().__init__("OneFile did not say whether the call was done.")
        self.status = status
