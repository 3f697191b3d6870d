"""Check that a run has everything it needs, and what the operator should consider beforehand."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

from syncd.core.assignments import AssignmentRecord
from syncd.core.fields import FIELDS, Role
from syncd.core.guard import Limits
from syncd.core.records import Code, Defaults, Held, Key, OtherOrganisation, Reason, Record
from syncd.core.run import RunState
from syncd.core.text import plural
from syncd.core.watermark import WatermarkReading
from syncd.errors import Interrupted, Refused, ReplicaConflict, SyncdError
from syncd.mis import Mis
from syncd.onefile import OneFile, Organisation
from syncd.state import daemons, runs
from syncd.state.db import files, maintenance
from syncd.state.db.schema import NEWEST
from syncd.state.db.store import Store
from syncd.state.session import reading_session
from syncd.state.views.documents import moment
from syncd.sync.context import SyncContext
from syncd.sync.feeds import all_rows, check_watermark_query, open_feed, read_assignments, read_feeds
from syncd.sync.lookup import OneFileLookup
from syncd.sync.reasons import describe

_IN_WORDS: Final = {Reason.DUPLICATE_KEY: "in more than one row"}


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """A run is possible, but the operator should consider this."""
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; no secrets, and of people only their number."""

    check: str
    state: State
    found: str
    advice: str = ""
    """What to do next, unless all is well."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finding without the name of its check."""

    found: str
    advice: str = ""
    state: State = State.OK


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], Outcome]
    """May raise any `SyncdError`, which becomes the finding."""
    otherwise: str = ""
    """What to do about an error that does not say so itself."""
    needs: str = ""
    """The check that must not fail or be skipped, or this one is skipped."""

    def finding(self) -> Finding:
        """Run the check."""
        try:
            outcome = self.look()
        except Interrupted:
            why = "not checked: no call is allowed now, because of a quiet window or other programs' calls"
            return Finding(self.name, State.SKIPPED, why, "Try again later.")
        except SyncdError as problem:
            return failed(self.name, problem, self.otherwise)
        return Finding(self.name, outcome.state, outcome.found, outcome.advice)


def made(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks in order and return their findings; a failure skips only the checks that need it."""
    unsound: set[str] = set()
    for check in checks:
        finding = not_checked(check.name, check.needs) if check.needs in unsound else check.finding()
        if finding.state in {State.FAILED, State.SKIPPED}:
            unsound.add(check.name)
        yield finding


def failed(name: str, problem: SyncdError, otherwise: str) -> Finding:
    """Return the finding of an error; if it has several sentences, the last one is the advice."""
    found, several, advice = str(problem).removesuffix(".").rpartition(". ")
    if several:
        return Finding(name, State.FAILED, found, f"{advice}.")
    return Finding(name, State.FAILED, advice, otherwise)


def not_checked(name: str, needs: str) -> Finding:
    """The finding of a check that cannot be made."""
    return Finding(name, State.SKIPPED, f"not checked: needs the {needs}")


_BEHIND: Final = Outcome("not checked: the schema must be upgraded first", state=State.SKIPPED)


def of_schedule(poll: str, quiet: Sequence[tuple[time, time]], *, is_live: bool) -> Outcome:
    """When the daemon polls, and the windows of the day in which no call is made."""
    polls = f"the daemon polls: {poll or 'only when asked'}"
    if quiet or not is_live:
        windows = ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in quiet)
        return Outcome(f"{polls}; no calls: {windows or 'never'}")
    return Outcome(
        f"{polls}; no quiet window is set",
        'OneFile\'s releases usually go out from 7:00 to 7:30: set schedule.quiet = ["07:00-07:30"].',
        State.WARNING,
    )


def of_configuration(what: str, limits: Limits) -> Outcome:
    """What was configured, and whether a limit of the guard has no effect because a longer time has a lower one."""
    shares = {
        "guard.percent": limits.percent,
        "guard.percent_day": limits.percent_day,
        "guard.percent_week": limits.percent_week,
    }
    for (name, share), (longer, lower) in pairwise(shares.items()):
        if share > lower:
            return Outcome(
                f"{what}; {name} is {share:g}, but {longer} is only {lower:g}, and the lower limit counts",
                f"Raise {longer} to at least {share:g}, or lower {name}.",
                State.WARNING,
            )
    return Outcome(what)


def of_leavers(grace: timedelta, protected: int, *, archives: bool) -> Outcome:
    """What happens to leavers; ``protected`` is the number of MISIDs that are never archived."""
    if not archives:
        return Outcome("leavers are reported only; their accounts are not changed")
    return Outcome(
        f"leavers are archived after {grace.days} days; protected MISIDs: {protected or 'none'}",
        'Until you trust the feeds, leavers.action = "report" only lists them; leavers.protect names exceptions.',
        State.WARNING,
    )


def of_admin(listen: str, *, is_loopback: bool) -> Outcome:
    """Where the endpoints are served."""
    if not listen:
        return Outcome("nothing is served")
    if is_loopback:
        return Outcome(f"served at {listen}, to this machine only")
    return Outcome(
        f"served at {listen}, to other machines too, and without TLS",
        "Put a proxy with TLS in front of it, or set admin.listen to an address such as 127.0.0.1:8642.",
        State.WARNING,
    )


def of_notify(names: Sequence[str]) -> Outcome:
    """Where notifications are sent, by the names of the addresses; nothing is sent."""
    if not names:
        return Outcome("no notifications are sent: notify.urls is empty")
    return Outcome(f"notifications go to {', '.join(names)}; 'syncd notify test' sends a test message")


def of_store(store: Store, *, upgrades_itself: bool) -> Outcome:
    """Whether the state store exists, is writable, has this version's schema, and is decrypted by the key.

    Root can write to any file, so for root it also tries what a service would that runs as the database's owner.
    Raises `StateUnusable`.
    """
    revision = store.revision()
    store.check_writable()
    store.check_pooling()
    if store.file and (refusal := files.service_refusal(store.file)):
        found, _, advice = refusal.rpartition(". ")
        return Outcome(found, f"{advice}.", State.FAILED)
    if revision is None:
        return Outcome(f"{store} does not exist yet; the first run creates it")
    store.refuse_newer(revision)
    if revision != NEWEST:
        old = f"{store} has the older schema {revision}"
        if upgrades_itself:
            return Outcome(f"{old}, which the next run upgrades")
        return Outcome(old, "Run 'syncd db upgrade'.", State.FAILED)
    maintenance.check_key(store)
    if unreadable := maintenance.count_unreadable(store):
        return Outcome(
            f"{store} has {plural(unreadable, 'value')} that the configured key does not decrypt",
            "Write the key that they were encrypted with behind the new one, SYNCD_STATE__ENCRYPTION_KEY=NEW,OLD, then "
            "run 'syncd db reseal'.",
            State.FAILED,
        )
    return of_files(
        f"{store}, schema {revision}" + (", decrypts with the configured key" * store.cipher.has_key),
        files.of(store.file) if store.file else (),
    )


def of_files(found: str, paths: Iterable[Path], *, may_be_read: bool = False) -> Outcome:
    """What was found, and which of the files other users of the machine may read or change, or only change."""
    exposed = files.open_to_others(paths, may_be_read=may_be_read)
    if not exposed:
        return Outcome(found)
    which, _, advice = exposed.rpartition(". ")
    return Outcome(f"{found}; {which}", f"{advice}.", State.WARNING)


def of_runs(store: Store, organisation_id: int, clock: Callable[[], datetime], *, is_live: bool) -> Outcome:
    """The last run, if there was one, and the one that waits for approval. Raises `StateUnusable`."""
    last = waiting = None
    if store.revision() is not None:
        if not store.is_current:
            return _BEHIND
        with reading_session(store, organisation_id, clock) as session:
            last, waiting = runs.last(session), runs.waiting(session)
    if waiting:
        return Outcome(
            f"run {waiting.id} waits for approval: {waiting.reason}",
            "Look at 'syncd plan', then run 'syncd approve' or 'syncd reject'.",
            State.WARNING,
        )
    if last:
        said = f"the last one is run {last.id}, {describe(last.state)}, {moment(last.started_at)}"
        if last.state == RunState.FAILED:
            return Outcome(f"{said}: {last.reason or 'it stopped'}", "Correct that, then run again.", State.WARNING)
        return Outcome(said)
    if not is_live:
        return Outcome("no run yet; 'syncd plan' shows what the first would do")
    return Outcome(
        "no run yet, and this is the live OneFile",
        'Try onefile.environment = "practice" first, with its own state store; then, on live, start with '
        "'syncd link' and 'syncd plan'.",
        State.WARNING,
    )


def of_daemon(store: Store, organisation_id: int, clock: Callable[[], datetime]) -> Outcome:
    """Whether a daemon serves this organisation. Raises `StateUnusable`."""
    due = None
    if store.revision() is not None:
        if not store.is_current:
            return _BEHIND
        with reading_session(store, organisation_id, clock) as session:
            due = daemons.next_run_at(session)
    if due is None:
        return Outcome("none is running; start it with 'syncd run'")
    if clock() < due + daemons.OVERDUE_AFTER:
        return Outcome(f"running; next run at {moment(due)}")
    return Outcome(
        f"a run was due at {moment(due)} and has not started",
        "Check in its log whether the daemon is still running or a run takes long; otherwise restart it.",
        State.WARNING,
    )


def of_mis(mis: Mis) -> Outcome:
    """Whether the MIS answers. Raises `MisUnreachable`."""
    with mis.connect():
        return Outcome(f"{mis} answers")


@dataclass(slots=True)
class FeedCounts:
    """Counts the rows of the feeds, which are read as a run reads them and not kept."""

    mapped: set[str] = field(default_factory=set)
    """The fields that the feeds supply."""
    _seen: set[Key] = field(default_factory=set)

    def of_feed(self, context: SyncContext) -> Outcome:
        """Count the rows of this context's one feed for each organisation, and those that could not be sent.

        It is read once for each of them, as in a run; a feed with a watermark is then queried for changes, as in a
        poll. If the recovery of a replica stops a query, all is read once more.
        Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
        """
        try:
            return self._count(context)
        except ReplicaConflict as problem:
            conflict = failed("", problem, "")
            counted = self._count(context)
            found = f"{counted.found}; the first try failed: {conflict.found}"
            return Outcome(found, f"{counted.advice} {conflict.advice}".strip(), State.WARNING)

    def _count(self, context: SyncContext) -> Outcome:
        organisations = context.organisations or (context.organisation_id,)
        rows, left_out = dict.fromkeys(organisations, 0), Counter[str]()
        held: dict[tuple[Key, int], tuple[Reason, str]] = {}
        watermarks: dict[str, WatermarkReading] = {}
        seen: set[Key] = set()
        misid = ""
        for row in chain.from_iterable(_turn(context.for_organisation(each), watermarks) for each in organisations):
            match row:
                case OtherOrganisation():
                    continue
                case Held():
                    held[row.key, row.row] = row.reason, row.field
                case Record():
                    left_out.update(each.field for each in row.warnings if each.reason is Reason.UNUSABLE)
                    self.mapped |= row.supplied
                    misid = row.key.misid
            rows[row.key.organisation_id] += 1
            # A learner may have many assignments, and a row without a MISID is not a duplicate.
            if context.feeds and row.key.misid:
                if row.key in seen or row.key in self._seen:
                    held[row.key, 0] = Reason.DUPLICATE_KEY, "MISID"
                seen.add(row.key)
        for feed in context.feeds:
            if feed.name in watermarks:
                check_watermark_query(context, feed, watermarks[feed.name], [misid] if misid else [])
        self._seen |= seen
        return _with_watermarks(_counted(rows, Counter(held.values()), left_out), watermarks.values())


def _with_watermarks(outcome: Outcome, watermarks: Iterable[WatermarkReading]) -> Outcome:
    for watermark in watermarks:
        if watermark.problem:
            found, _, advice = watermark.problem.partition(". ")
            said = f"{outcome.found}; every poll reads the whole feed and not only its changes, because {found}"
            return Outcome(said, f"{advice}. {outcome.advice}".rstrip(), State.WARNING)
    return outcome


def _turn(
    context: SyncContext, watermarks: dict[str, WatermarkReading]
) -> Iterator[Record | AssignmentRecord | Held | OtherOrganisation]:
    for feed in context.feeds:
        with open_feed(context, feed) as reader:
            if reader.watermark is not None:
                watermarks[feed.name] = reader.watermark
            yield from all_rows(reader)
    yield from read_assignments(context)


def _counted(by_organisation: Mapping[int, int], held: Counter[tuple[Reason, str]], left_out: Counter[str]) -> Outcome:
    rows = sum(by_organisation.values())
    if not rows:
        return Outcome(
            f"it has no rows for {' or '.join(map(str, by_organisation))}",
            "Look at its query: the guard stops a run with an empty feed.",
            State.WARNING,
        )
    said = plural(rows, "row")
    if len(by_organisation) > 1:
        said += f" ({', '.join(f'{count} of {each}' for each, count in by_organisation.items())})"
    if left_out:
        said += f"; unusable values to be left out: {', '.join(f'{n} {name}' for name, n in left_out.most_common())}"
    if not held:
        return Outcome(f"{said}; none would be held")
    reasons = ", ".join(
        f"{count} {field} {_IN_WORDS.get(reason, reason)}" for (reason, field), count in held.most_common()
    )
    return Outcome(
        f"{said}; {held.total()} would be held: {reasons}",
        "'syncd plan' lists them. Correct their values in the MIS; all others are sent.",
        State.WARNING,
    )


def of_encryption(mapped: Iterable[str], *, has_key: bool) -> Outcome:
    """Whether the values of the feeds are encrypted at rest."""
    if has_key:
        return Outcome("values and first passwords are encrypted in the state store")
    supplied = frozenset(mapped)
    if not supplied:
        return Outcome("not checked: no key is set, and no feed shows what it would encrypt", state=State.SKIPPED)
    special = [name for name, field in FIELDS.items() if field.special and name in supplied]
    if not special:
        return Outcome("no key is set: values are not encrypted, passwords not kept")
    return Outcome(
        f"no key is set, and {', '.join(special)} would be kept in plain text: special-category or sensitive data",
        "Set SYNCD_STATE__ENCRYPTION_KEY, and then run 'syncd db reseal' if there is a state store already.",
        State.WARNING,
    )


def of_login(onefile: OneFile) -> Outcome:
    """Whether the customer token is valid, and of which customer. Raises `OneFileUnreachable`, `CredentialsRefused`."""
    try:
        customer = onefile.customer()
    except Refused:
        return Outcome("the customer token is valid; OneFile does not say whose it is")
    return Outcome(f"the customer token is that of {customer.name} ({customer.id})")


def of_organisation(organisation: Organisation) -> Outcome:
    """Which organisation the number stands for."""
    return Outcome(f"{organisation.id} is {organisation.name or 'without a name'}")


def of_keychain(organisation: Organisation) -> Outcome:
    """What OneFile does for a new account in this organisation."""
    told = {None: "", True: "; EmailSuppression is on", False: "; EmailSuppression is off"}
    suppression = told[organisation.suppresses_emails]
    if not organisation.creates_keychains:
        return Outcome(f"creation is off: OneFile returns new accounts' passwords{suppression}")
    return Outcome(
        f"creation is on: OneFile e-mails the person of each new account{suppression}",
        "These are real e-mails to real people: check 'syncd plan' before you approve a run.",
        State.WARNING,
    )


def of_references(
    onefile: OneFile, organisation_id: int, defaults: Defaults, is_to_come: Callable[[Code], bool]
) -> Outcome:
    """Whether OneFile has what ``[defaults]`` names, or the feeds will create it, as ``is_to_come`` says of a code.

    Raises what `OneFile` does for reads.
    """
    if not defaults:
        return Outcome("[defaults] names none")
    lookup = OneFileLookup(onefile, organisation_id, {}, 1)
    places = {"ClassroomID": Role.CLASSROOM, "PlacementID": Role.PLACEMENT}

    def is_there(name: str, wanted: int | Code) -> bool:
        if isinstance(wanted, Code):
            return isinstance(lookup.resolve([wanted])[wanted], int)
        if name in places:
            return any(one.id == wanted for one in onefile.places(places[name], organisation_id))
        return _is_user(onefile, wanted)

    there, to_come, missing = [], [], []
    for name, wanted in defaults.items():
        if isinstance(wanted, Code):
            named = f"{wanted.referent} with the {wanted.by} {wanted.text!r}"
        else:
            named = f"{name} {wanted}"
        if is_there(name, wanted):
            there.append(named)
        elif isinstance(wanted, Code) and is_to_come(wanted):
            to_come.append(named)
        else:
            missing.append(named)
    if missing:
        return Outcome(
            f"OneFile has no {' and no '.join(missing)}",
            "Correct [defaults]: ids differ between environments.",
            State.FAILED,
        )
    said = (("OneFile has", there), ("the feeds will create", to_come))
    return Outcome("; ".join(f"{which} {', '.join(names)}" for which, names in said if names))


def is_to_come(context: SyncContext, code: Code) -> bool:
    """Whether the feeds have the record that a code stands for. Raises as `read_feeds` does."""
    records = (row for row in read_feeds(context) if isinstance(row, Record))
    return any(code.text == (row.key.misid if code.by == "MISID" else row.name) for row in records)


def _is_user(onefile: OneFile, user_id: int) -> bool:
    try:
        return bool(onefile.user(user_id))
    except Refused:
        return False
