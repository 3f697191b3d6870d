"""Every error that syncd prints.

SyncdError                     one or two plain sentences: what is wrong, where, what to do; exit 1
├── ConfigurationError         the configuration file, the environment, a feed's columns
├── MisUnreachable             the MIS does not answer, or refuses the query
│   └── ReplicaConflict        … it is a replica whose recovery stopped the query: read once more
├── StateUnusable              the state store: newer schema, wrong key
│   ├── StateUnreachable       … it cannot be reached or written to: the daemon waits for it
│   ├── StateReplaced          … it was deleted, replaced or cut short while in use: the daemon ends
│   └── NoStateStore           … there is none yet, and the command does not create it
├── NothingToSettle            approve, reject, rekey, … for a run or an account that does not exist
├── LinksUnusable              the CSV of links given to 'syncd link --apply'
├── AnotherRun                 the lock is held; exit 5
├── LockLost                   the lock was held and is no longer
├── Unforeseen                 a defect in syncd ended a run; the log says where
├── ThreadsExhausted           the system lets syncd start no more threads
├── DaemonBroken               an unexpected error ended the daemon
├── NotTold                    a notification could not be sent
├── StoryBroken                the demo
└── OneFileError
    ├── OneFileUnreachable     no answer, or one that says to come back later; nothing was done
    ├── CredentialsRefused     the customer token, or what it may see
    ├── Refused                OneFile understood and said no
    └── AnswerLost             the call may or may not have been done

`Interrupted` is not one of them: nothing is wrong, syncd was asked to stop.

Each kind has a ``title``, a ``meaning`` and a ``remedy``, which 'syncd help' lists: the message describes this one
error, these describe its kind.
"""

from typing import ClassVar


class SyncdError(Exception):
    """An error that is printed instead of a traceback; ``str()`` of it is the whole message."""

    exit_code = 1

    title: ClassVar[str]
    """Its name for people."""
    meaning: ClassVar[str]
    """What happened, and what was done before it."""
    remedy: ClassVar[str]
    """What to do."""


class ConfigurationError(SyncdError):
    """The configuration cannot be used; the message names the file, the key and the nearest valid name."""

    title = "configuration"
    meaning = (
        "syncd.toml, a variable SYNCD_…, a feed's columns or a file given to a command cannot be used, or does not fit "
        "the state store. Nothing was sent."
    )
    remedy = "Correct what the message names, then run 'syncd doctor'. 'syncd init' writes an example configuration."


class MisUnreachable(SyncdError):
    """The MIS could not be read."""

    title = "MIS"
    meaning = "The MIS does not answer, or refuses a feed's query. No record is treated as a leaver because of it."
    remedy = (
        "Check that this machine reaches the database and that the login of source.url may read it. Try the query in "
        "the database's own tools. The daemon retries by itself."
    )


class ReplicaConflict(MisUnreachable):
    """The MIS is a replica of PostgreSQL, and its recovery stopped the query."""

    title = "MIS replica"
    meaning = (
        "The MIS is a replica of PostgreSQL. It stopped a feed's query, because rows that the query still needed were "
        "removed on the primary. syncd has tried twice. No record is treated as a leaver because of it."
    )
    remedy = (
        "On the replica, set hot_standby_feedback = on, or raise max_standby_streaming_delay above the duration of the "
        "query. The daemon retries by itself."
    )


class StateUnusable(SyncdError):
    """The state store could not be used."""

    title = "state store"
    meaning = (
        "The state store, which maps MISIDs to OneFile accounts, cannot be used: it is unreachable, full, of a newer "
        "version, or encrypted with another key."
    )
    remedy = (
        "Correct what the message names. Do not delete the store: without it syncd does not know which account belongs "
        "to which record. 'syncd db check' checks it; restore a lost one from a backup, or with 'syncd link'."
    )


class StateUnreachable(StateUnusable):
    """The state store cannot be reached, read or written to now; it may be later, without a change in syncd."""

    title = "state store unreachable"
    meaning = (
        "The database of the state store does not answer, its disk is full, or its file belongs to another user. "
        "The daemon waits and retries every second; /readyz reports that it is not ready."
    )
    remedy = (
        "Start the database, or do what the message says about the file. The daemon continues by itself. "
        "'syncd doctor', run as root, reports what a service would find."
    )


class StateReplaced(StateUnusable):
    """The state store is not the one that syncd has worked on; waiting does not bring it back."""

    title = "state store replaced"
    meaning = (
        "The state store was deleted, moved, emptied, cut short or replaced by an older copy while syncd was using it, "
        "or between two starts. syncd sends nothing more and creates no new store in its place."
    )
    remedy = (
        "Stop syncd, put the store back or restore a backup, then start syncd. To begin with an empty store, delete "
        "the store's lock files, which the message names, and run 'syncd link' before the first run."
    )


class NoStateStore(StateUnusable):
    """There is no state store yet, and the command does not create one."""

    title = "no state store"
    meaning = (
        "There is nothing yet at the place that state.url names. Only the commands that fill a state store create it: "
        "'syncd sync', 'syncd run', 'syncd link' and 'syncd db upgrade'."
    )
    remedy = (
        "If syncd has not run yet, run 'syncd sync'. If it has, correct state.url: the message says which place was "
        "meant."
    )


class NothingToSettle(SyncdError):
    """No run waits for approval, or a command names a run or an account that does not exist or has nothing to undo."""

    title = "nothing to decide"
    meaning = (
        "No run waits for approval, or the command names a run or an account that does not exist, or a run that has "
        "nothing to undo. Nothing changed."
    )
    remedy = (
        "'syncd status' shows the run that waits, 'syncd history' what the runs sent, 'syncd accounts' the accounts."
    )


class LinksUnusable(SyncdError):
    """The approved links cannot be applied; the message says where and why, and that nothing was changed."""

    title = "links"
    meaning = "A row of the file given to 'syncd link --apply' is invalid. No row was applied."
    remedy = "Correct the row that the message names, then run the command again."


class AnotherRun(SyncdError):
    """Another process is writing for this organisation."""

    exit_code = 5

    title = "another run"
    meaning = "Another run is in progress for this organisation, and only one may run at a time. Nothing was done."
    remedy = "'syncd status' shows it. Try again when it is finished, or ask the daemon with 'syncd resync --wait'."


class LockLost(SyncdError):
    """This process must not write any more: another process may have started to."""

    title = "lock lost"
    meaning = "The connection to the state store broke during a run, so no further call was made."
    remedy = (
        "Nothing is lost: the next run resolves the calls in flight and continues. If it recurs, check that database."
    )


class Unforeseen(SyncdError):
    """A defect in syncd ended a run; its own message is not printed, because it may quote values."""

    title = "unexpected error"
    meaning = (
        "A defect in syncd ended a run. Everything sent before it is recorded, and the next run resolves what is in "
        "doubt."
    )
    remedy = "Please report it with the log's line 'run_finished', which says where it happened and has no values."


class ThreadsExhausted(SyncdError):
    """The system lets this process start no more threads."""

    title = "threads"
    meaning = (
        "The system lets syncd start no more threads. Everything sent before is recorded, and the next run continues."
    )
    remedy = (
        "Raise the limit that syncd's user or service has reached: TasksMax of the systemd unit, the container's limit "
        "of processes, or 'ulimit -u'. Another program may have used them up."
    )


class Interrupted(Exception):
    """syncd must stop: a call to OneFile that waited for its turn was not made, or a query of the MIS was cancelled."""

    attempts: int | None = None
    """The number of the attempt of a call, from 1; ``None`` if there was no attempt yet."""


def thread_problem(problem: BaseException) -> ThreadsExhausted | None:
    """The error to print if Python could not start a thread; ``None`` for any other problem."""
    if not isinstance(problem, RuntimeError) or str(problem) != "can't start new thread":
        return None
    return ThreadsExhausted(
        "The system lets syncd start no more threads. Raise the limit of its user or service (TasksMax of the systemd "
        "unit, the container's limit of processes, 'ulimit -u'), then run it again."
    )


class DaemonBroken(SyncdError):
    """The daemon would do nothing any more, so it ends; the service manager restarts it."""

    title = "daemon"
    meaning = "An unexpected error stopped the daemon's work, so the daemon ended."
    remedy = "systemd or Docker restarts it; by hand, run 'syncd run'. Please report it with the end of its log."


class NotTold(SyncdError):
    """A notification could not be sent; it is retried."""

    title = "notification"
    meaning = "A service in notify.urls could not be reached, or did not accept the message. Runs continue."
    remedy = "syncd retries by itself. 'syncd notify test' sends a test message to each service."


class StoryBroken(SyncdError):
    """The demo could not be set up, or a step of it did not end as expected."""

    title = "demo"
    meaning = "The demo could not be set up, or one of its steps did not end as expected."
    remedy = "Delete its folder and start it again. If it recurs, please report it."


class OneFileError(SyncdError):
    """A call to OneFile did not succeed."""

    attempts = 1
    """How many times it was attempted."""


class OneFileUnreachable(OneFileError):
    """OneFile did not accept the call; it may be repeated."""

    title = "OneFile unreachable"
    meaning = (
        "OneFile does not answer, or asks to retry later. Unsent changes are retried in the next run and not marked as "
        "failed."
    )
    remedy = "The daemon retries by itself; the next run continues from here. If it lasts, run 'syncd doctor'."


class CredentialsRefused(OneFileError):
    """OneFile does not accept the customer token, or not for this organisation."""

    title = "customer token"
    meaning = "OneFile does not accept the customer token, or the token has no access to the organisation."
    remedy = (
        "Each environment (live, practice, beta) has its own token, which OneFile's support issues to Centre Managers. "
        "Compare onefile.environment, onefile.organisation_id and the token; 'syncd doctor' shows whose token it is."
    )


class Refused(OneFileError):
    """OneFile refused this one call.

    ``status`` is the HTTP status, ``message`` OneFile's own words, which may repeat what was sent to it. With a status
    of success it is not known whether the call was done: OneFile has answered in words.
    """

    title = "refused"
    meaning = "OneFile refused a call. All other records are sent."
    remedy = "'syncd held' shows OneFile's message and what to do."

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"OneFile refused the call with status {status}.")
        self.status = status
        self.message = message


class AnswerLost(OneFileError):
    """The call was sent, and it is unknown whether OneFile carried it out.

    ``status`` is the HTTP status, or ``None`` when there was no answer at all. ``why`` is what was wrong with an answer
    that came, without values; empty if that was its form. ``words`` are OneFile's own, if its answer to a create had
    words instead of an id; they may repeat what was sent to it.
    """

    title = "answer lost"
    meaning = "A call was sent and its answer was lost, so OneFile may or may not have carried it out."
    remedy = "Nothing to do: the next run searches OneFile for the outcome before it creates anything."

    def __init__(self, status: int | None = None, why: str = "", words: str = "") -> None:
        super().__init__("OneFile did not say whether the call was done.")
        self.status = status
        self.why = why
        self.words = words
