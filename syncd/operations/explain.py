"""Explain one record: its rows in the MIS, its account, what a run would do with it, and by which rule.

`make_plan` decides, over the records that the decision depends on; nothing is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Final

from syncd.core.accounts import Known, Status
from syncd.core.assignments import AssignmentRecord, Pair, StoredAssignment
from syncd.core.evidence import Evidence, Likeness
from syncd.core.fields import GRANT, SENDING_ORDER, Kind, Role
from syncd.core.identity import Person
from syncd.core.misid import skeleton
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Step, Update
from syncd.core.records import Code, Column, Held, Key, OtherOrganisation, Reason, Record, Row, Warned
from syncd.core.run import Trigger
from syncd.core.scope import Scope
from syncd.core.suspension import ActionKind
from syncd.core.values import Sent, Unusable, Value
from syncd.onefile import ApiRequest, Id, PendingId, fields_sent, request_for
from syncd.state import accounts, assignments, changes, held_records, marks, runs, suspensions
from syncd.state.runs import LastDrift
from syncd.state.suspensions import Suspension
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import refuse_other_customer
from syncd.sync.decide import decide
from syncd.sync.feeds import open_feed, read_assignments, read_feeds, with_second_try
from syncd.sync.planner import make_plan
from syncd.sync.reasons import HELD


class Decision(StrEnum):
    """What a run would do with a record."""

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    REKEY = "rekey"
    UNARCHIVE = "unarchive"
    ASSIGN = "assign"
    HELD = "held"
    IN_STEP = "in_step"
    LEAVER = "leaver"
    ARCHIVED = "archived"
    NOTHING = "nothing"
    """There is neither a record nor an account."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a row, and what becomes of its value."""

    column: str
    """Empty if the value is a default."""
    field: str
    how: str
    """How it was read, as a phrase without the value."""
    value: object = None
    """The value that was read, else the one that the MIS has."""
    is_sent: bool = False
    difference: str = ""
    """Compared with the value OneFile last accepted: new, differs or same; empty if there is none to compare."""


@dataclass(frozen=True, slots=True)
class RowRead:
    """One row with the MISID."""

    feed: str
    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What the state store knows of the account."""

    user_id: int | None
    status: Status
    synced_at: datetime
    left_at: datetime | None
    days_gone: int
    """The days with a complete reading of the feeds since then."""
    feed: str
    accepted: Mapping[str, Sent]
    """What OneFile last accepted; ``None`` for a value whose answer was lost."""
    drift: LastDrift | None = None
    """What the last verify has found to differ from that; ``None`` if nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the list of held records and warnings."""

    reason: Reason
    field: str
    detail: str
    since: datetime
    is_warning: bool


@dataclass(frozen=True, slots=True)
class LastChange:
    """The change that was last sent, and its outcome."""

    run: int
    at: datetime
    action: str
    outcome: str
    fields: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A user that the MIS assigns to the learner, or who is assigned in OneFile."""

    role: Role
    misid: str
    feed: str
    """Empty if no feed has it any more."""
    state: str


class Relation(StrEnum):
    """How a record or an account may be related to another one."""

    ASKED = "asked"
    """An operator must say whether they are about one person."""
    NEXT_PROGRAMME = "next_programme"
    """It is the next programme of the other one's person."""
    EARLIER_PROGRAMME = "earlier_programme"
    """The other one is the next programme of its person."""
    SAME_PERSON = "same_person"
    """Both are current, and seem to be about one person."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a record or an account was compared with, to find out whose it is."""

    relation: Relation
    other: str
    """The other MISID; empty for the values that OneFile has under this one, and for an account without a MISID."""
    user_id: int | None
    evidence: Evidence | None

    @property
    def sentence(self) -> str:
        """The comparison in words: field names, never values."""
        whose = self.other or ("the values that OneFile has" if self.evidence else "an account in OneFile")
        account = f", UserID {self.user_id}" if self.user_id is not None else ""
        by = f": {self.evidence} ({_LIKENESS[self.evidence.likeness]})" if self.evidence else ""
        match self.relation:
            case Relation.NEXT_PROGRAMME:
                return f"the next programme of {whose}{account}{by}"
            case Relation.EARLIER_PROGRAMME:
                return f"{whose} is the next programme of this person{by}"
            case _:
                return f"with {whose}{account}{by}"


_LIKENESS: Final = {
    Likeness.CERTAIN: "certainly one person",
    Likeness.LIKELY: "likely one person",
    Likeness.POSSIBLE: "possibly one person",
    Likeness.CONTRADICTED: "not one person",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """What a run would do, and why."""

    decision: Decision
    sentence: str
    why: str


@dataclass(frozen=True, slots=True)
class RecordExplanation:
    """The explanation of one MISID in one role."""

    key: Key
    rows: tuple[RowRead, ...]
    account: Account | None
    entries: tuple[Entry, ...]
    in_doubt_since: datetime | None
    last_change: LastChange | None
    decided: Decided
    calls: tuple[ApiRequest, ...]
    assignments: tuple[Assignment, ...]
    compared: tuple[Compared, ...] = ()
    """The other records and accounts that may be about its person."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one MISID, by role."""

    records: tuple[RecordExplanation, ...]
    alike: tuple[str, ...] = ()
    """If no role has the MISID: those that look like it."""


def explain(context: SyncContext, misid: str) -> Explanation:
    """Collect what is known of one MISID, and what a run would do with it; changes nothing.

    Raises what `make_plan` raises, and `ConfigurationError` if the customer token is another customer's.
    """
    refuse_other_customer(context)
    organisation_id = context.organisation_id
    with context.reading_session() as session:
        before = accounts.known(session)
    found = with_second_try(lambda: _read(context, misid, before))
    plan = decide(context, make_plan(context, Scope.of(found.in_scope)), Trigger.COMMAND).plan
    with context.reading_session() as session:
        # Read again, so that everything about an account is of the same time.
        known = accounts.known(session)
        values = accounts.values(session, [key for key in known if key.misid == misid])
        feeds = accounts.feeds(session)
        synced_at = {
            Key(organisation_id, Role(row.role), row.misid): row.synced_at
            for row in accounts.listing(session)
            if row.misid == misid
        }
        listed = [
            row
            for is_warning in (False, True)
            for row in held_records.listing(session, warnings=is_warning)
            if row.misid == misid
        ]
        history = changes.history(session, misid)
        unsettled = {each.key: each.at for each in changes.unsettled(session)}
        stored = assignments.stored(session)
        suspended = {each.kind: each for each in suspensions.listing(session)}
        drift = {
            key: runs.last_drift(session, key.role, one.user_id) for key, one in known.items() if key.misid == misid
        }
    ids = _Ids(known)
    explained: list[RecordExplanation] = []
    for role in SENDING_ORDER:
        key = Key(organisation_id, role, misid)
        rows = [read for read in found.rows if read.role is role]
        entries = tuple(
            Entry(Reason(row.reason), row.field, row.detail, row.first_seen_at, row.is_warning)
            for row in listed
            if row.role == role
        )
        account = None
        if (one := known.get(key)) is not None:
            account = Account(
                one.user_id,
                one.status,
                synced_at[key],
                one.left_at,
                one.days_gone,
                feeds[key],
                values[key],
                drift[key],
            )
        wanted = {row.pair: row.feed for row in found.assignments if row.key == key}
        if not (rows or account or entries or wanted or key in unsettled):
            continue
        last = next((row for row in reversed(history) if row.role == role), None)
        case = _Case(context, key, account, plan, ids, suspended)
        explained.append(
            RecordExplanation(
                key,
                tuple(RowRead(read.feed, read.number, tuple(case.cells(read))) for read in rows),
                account,
                entries,
                unsettled.get(key),
                last and LastChange(last.run_id, last.at, last.action, last.outcome, tuple(last.fields), last.message),
                case.decide(has_rows=bool(rows), is_without_organisation=key in found.without_organisation),
                case.calls(),
                tuple(case.assignments(wanted, stored)),
                tuple(_compared(key, plan)),
            )
        )
    return Explanation(tuple(explained), () if explained else found.alike(misid))


@dataclass(frozen=True, slots=True)
class _Read:
    """A row as the MIS has it, and the record that it was read as."""

    feed: str
    role: Role
    columns: tuple[Column, ...]
    number: int
    row: Row
    record: Record | Held


@dataclass(slots=True)
class _Found:
    rows: list[_Read] = field(default_factory=list)
    assignments: list[AssignmentRecord] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    without_organisation: set[Key] = field(default_factory=set)
    """Of rows that do not say which organisation they are of."""
    in_scope: frozenset[str] = frozenset()
    """The MISIDs that the plan must cover so that it decides as a run over everyone would."""

    def alike(self, misid: str) -> tuple[str, ...]:
        look = skeleton(misid)
        return tuple(sorted({key.misid for key in self.seen if skeleton(key.misid) == look}))


def _compared(key: Key, plan: Plan) -> Iterator[Compared]:
    """Return what the plan has found about the person of a record or an account."""
    for one in plan.next_programmes:
        if one.key == key:
            yield Compared(Relation.NEXT_PROGRAMME, one.old.misid, None, one.evidence)
        elif one.old == key:
            yield Compared(Relation.EARLIER_PROGRAMME, one.key.misid, None, one.evidence)
    for problem in chain[Held | Warned](plan.held, plan.warnings):
        is_same = problem.reason is Reason.SAME_PERSON
        relation = Relation.SAME_PERSON if is_same else Relation.ASKED
        if problem.key == key and (problem.evidence or problem.reason is Reason.HAS_AN_ACCOUNT):
            user_id = problem.user_id if isinstance(problem, Held) else None
            yield Compared(relation, problem.other, user_id, problem.evidence)
        elif problem.other and problem.key._replace(misid=problem.other) == key:
            yield Compared(relation, problem.key.misid, None, problem.evidence)


def _read(context: SyncContext, misid: str, known: Mapping[Key, Known]) -> _Found:
    """Find the rows with a MISID, and the other records that the decision depends on.

    Those are the records that it refers to, which may be created in the same run; places with the same name; and the
    records that may be about the same person.
    """
    found, look = _Found(), skeleton(misid)
    found.assignments = [
        row for row in read_assignments(context) if isinstance(row, AssignmentRecord) and row.key.misid == misid
    ]
    in_scope = {misid, *(row.pair.user.misid for row in found.assignments)}
    names: set[str] = set()
    places: dict[str, set[str]] = {}
    for read in _rows(context, found.without_organisation):
        record = read.record
        found.seen.add(record.key)
        if record.key.misid == misid:
            found.rows.append(read)
        if skeleton(record.key.misid) == look:
            in_scope.add(record.key.misid)
        if isinstance(record, Held):
            continue
        if record.key.role.is_place:
            places.setdefault(str(record.fields["Name"]), set()).add(record.key.misid)
        if record.key.misid in in_scope:
            for code in record.codes.values():
                (in_scope if code.by == "MISID" else names).add(code.text)
    for name, misids in places.items():
        if name in names or misids & in_scope:
            in_scope |= misids
    records = [read.record for read in found.rows if isinstance(read.record, Record)]
    gone = [key for key in known.keys() - found.seen - found.without_organisation if key.misid == misid]
    found.in_scope = frozenset(in_scope | _of_same_people(context, records, gone))
    return found


def _of_same_people(context: SyncContext, records: Sequence[Record], gone: Sequence[Key]) -> set[str]:
    """Return the MISIDs of the records that may be about the person of one of these records or accounts."""
    secret = context.store.cipher.fingerprint_secret
    with context.reading_session() as session:
        values, person_keys = accounts.values(session, gone), marks.person_keys(session, gone)
        people = [Person.of_record(record, secret) for record in records]
        people += [Person.of_values(key, values[key], person_keys.get(key, "")) for key in gone]
        wanted = {(person.key, mark) for person in people for mark in person.marks(secret)}
        misids = {person.key.misid for person in marks.resembling(session, wanted)}
    theirs = {mark for _, mark in wanted}
    roles = {person.key.role for person in people}
    # Two records may be about one person, and neither of them have an account.
    only = replace(context, feeds=tuple(feed for feed in context.feeds if feed.role in roles))
    for record in read_feeds(only) if theirs else ():
        if isinstance(record, Record):
            its_marks = Person.of_record(record, secret).marks(secret)
            if not theirs.isdisjoint(its_marks):
                misids.add(record.key.misid)
    return misids


def _rows(context: SyncContext, without_organisation: set[Key]) -> Iterator[_Read]:
    """Every row of this organisation. Raises `MisUnreachable`, `ConfigurationError`.

    The keys of rows that do not say which organisation they are of are added to ``without_organisation``.
    Records that refer to others come before those, so that one reading finds them all.
    """
    for feed in sorted(context.feeds, key=lambda feed: SENDING_ORDER.index(feed.role), reverse=True):
        with open_feed(context, feed) as reader:
            for number, row, record in reader.rows_with_source():
                if not isinstance(record, OtherOrganisation):
                    yield _Read(feed.name, feed.role, reader.columns, number, row, record)
                elif record.key is not None:
                    without_organisation.add(record.key)


class _Ids(dict[Key, Id]):
    """OneFile's ids of the accounts; a key without one has a phrase that stands for it in a request."""

    def __init__(self, known: Mapping[Key, Known]) -> None:
        super().__init__({key: one.user_id for key, one in known.items() if one.user_id is not None})

    def __missing__(self, key: Key) -> Id:
        return PendingId(f"{{{_noun(key.role)} of the {key.role} {key.misid}}}")


_KINDS: Final = {
    Kind.TEXT: "text",
    Kind.LINES: "lines of text",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "a yes/no value",
    Kind.DATE: "a date",
    Kind.MOMENT: "a date and time",
    Kind.EMAIL: "an e-mail address",
    Kind.ULN: "a ULN",
    Kind.NINO: "an NI number",
}

_NOT_FOUND: Final = {Reason.REFERENCE_NOT_FOUND: "not found", Reason.AMBIGUOUS: "more than one has it"}


class _Case:
    """One key, and what a plan has of it."""

    def __init__(
        self,
        context: SyncContext,
        key: Key,
        account: Account | None,
        plan: Plan,
        ids: _Ids,
        suspended: Mapping[ActionKind, Suspension],
    ) -> None:
        self._context = context
        self._suspended = suspended
        self._key = key
        self._account = account
        self._ids = ids
        assignment_feeds = {feed.name for feed in context.assignment_feeds}
        held = [hold for hold in plan.held if (hold.role, hold.misid) == (key.role, key.misid)]
        self._left_out = {warned.field: warned.reason for warned in plan.warnings if warned.key == key}
        self._hold = next((hold for hold in held if hold.feed not in assignment_feeds), None)
        self._unassigned = {hold.feed: hold.detail for hold in held if hold.feed in assignment_feeds}
        self._release = [step for step in plan.rekeys if step.is_release and step.old == key]
        self._steps = [step for step in plan.steps() if _key_of(step) == key]
        self._refresh = next((refresh for refresh in plan.refreshes if refresh.key == key), None)
        self._is_back = any(returner.key == key for returner in plan.returners)
        self._successor = next((rekey.key.misid for rekey in plan.rekeys if rekey.old == key), "")
        self._sent: dict[str, Sent] = {}
        for step in self._steps:
            self._sent |= self._fields(step)

    def _fields(self, step: Step) -> dict[str, Sent]:
        match step:
            case Create() | Update() | Rekey():
                return fields_sent(step, self._ids)
            case Grant():
                return {GRANT: step.is_open}
            case _:
                return {}

    def cells(self, read: _Read) -> Iterator[Cell]:
        """The columns of a row, and the defaults that stand in for some."""
        record = read.record
        yield Cell("MISID", "MISID", "the key", self._key.misid, "MISID" in self._sent, self._difference("MISID"))
        for column in read.columns:
            yield self._cell(column, read.row[column.position], record)
        if isinstance(record, Record):
            for name in sorted(record.defaulted):
                given = record.codes.get(name) or record.fields[name]
                how = f"from [defaults]: {self._meant(name, given)}"
                yield Cell("", name, how, _plain(given), name in self._sent, self._difference(name))

    def _cell(self, column: Column, raw: object, record: Record | Held) -> Cell:
        name = column.field.name
        is_why_held = self._hold is not None and self._hold.field == name
        try:
            value = column.read(raw)
        except Unusable as problem:
            return Cell(column.name, name, f"{'holds the record' if is_why_held else 'left out'}: {problem}", raw)
        if value is None:
            is_cleared = name in self._sent and self._sent[name] in {"", None}
            how = "empty, and holds the record" if is_why_held else "empty"
            return Cell(column.name, name, how, None, is_cleared, "differs" if is_cleared else "")
        if isinstance(record, Record) and value != record.codes.get(name, record.fields.get(name)):
            return Cell(column.name, name, "not used: another column takes precedence", _plain(value))
        how = self._meant(name, value) if column.field.referent else _KINDS[column.field.kind]
        return Cell(column.name, name, how, _plain(value), name in self._sent, self._difference(name))

    def _difference(self, name: str) -> str:
        has_it = self._account is not None and self._account.accepted.get(name) is not None
        if name in self._sent:
            return "differs" if has_it else "new"
        return "same" if has_it and self._hold is None else ""

    def _meant(self, name: str, given: Value | Code) -> str:
        """Describe what an id or a code stands for."""
        if not isinstance(given, Code):
            return f"OneFile's own id: {given}"
        named = f"the {given.referent} with the {given.by} {given.text!r}"
        if self._hold is not None:
            not_found = _NOT_FOUND.get(self._hold.reason) if self._hold.field == name else None
            return f"looked up as {named}: {not_found}" if not_found else named
        if (why := _NOT_FOUND.get(self._left_out.get(name, Reason.UNUSABLE))) is not None:
            return f"left out: looked up as {named}: {why}"
        noun = _noun(given.referent.roles[0]) if given.referent.roles else "ID"
        for step in (*self._steps, self._refresh):
            if isinstance(step, Create | Update) and name in step.waits_for:
                return f"looked up as {named}: created in the same run"
            if isinstance(step, Create | Update | Grant | Refresh) and name in step.ids:
                return f"looked up as {named}: {noun} {step.ids[name]}"
        # The record is unchanged, so its codes stand for the same ids.
        accepted = self._account.accepted.get(name) if self._account else None
        return f"looked up as {named}: {noun} {accepted}" if accepted else named

    def decide(self, *, has_rows: bool, is_without_organisation: bool = False) -> Decided:
        """Return what happens to the record or the account, and by which rule."""
        if self._hold is not None:
            advice = HELD[self._hold.reason]
            why = f"{advice.meaning} {advice.remedy}"
            return Decided(Decision.HELD, f"is held: {self._hold.detail}", why)
        if not has_rows and is_without_organisation:
            why = f"A row with this MISID does not name its organisation: {self._context.main_organisation} holds it."
            return Decided(Decision.HELD, "stays as it is", why)
        if not has_rows:
            return self._without_rows()
        decided = [self._describe(step) for step in self._steps]
        if decided:
            sentence = f"would be {', then '.join(each.sentence for each in decided)}"
            queued = {each.sentence for step in self._steps if (each := self._suspended.get(ActionKind.of(step)))}
            if queued:
                sentence += ", but such changes are queued"
            reasons = [*(each.why for each in decided), *(f"Now {each}." for each in sorted(queued))]
            return Decided(decided[0].decision, sentence, " ".join(dict.fromkeys(reasons)))
        if self._is_back:
            why = "Its record had disappeared and is back; the account was not archived in the meantime."
        elif self._refresh:
            why = "Compared field by field, every value is the one OneFile last accepted."
        else:
            why = "The row is unchanged since OneFile last accepted it."
        if self._account is not None and self._account.drift is not None:
            why += " What OneFile has may differ: see the drift."
        return Decided(Decision.IN_STEP, "is as OneFile last accepted it: nothing to send", why)

    def _describe(self, step: Step) -> Decided:
        noun = _noun(self._key.role)
        match step:
            case Returner():
                decision, sentence, why = Decision.UNARCHIVE, "unarchived", self._why_unarchived()
            case Rekey():
                decision, sentence = Decision.REKEY, f"given the account of {step.old.misid}, {noun} {step.user_id}"
                why = (
                    "The record looks like that one's, which is gone, and OneFile has the new MISID on that account or "
                    "an operator has answered that it is the same person."
                )
            case Create():
                decision, sentence = Decision.CREATE, "created"
                why = _why_created(step)
            case Update(is_link=True):
                decision, sentence = Decision.LINK, f"linked to {noun} {step.user_id}"
                why = (
                    "OneFile already has an account with this MISID: syncd adopts it instead of creating a second one."
                )
            case Update():
                decision, sentence = Decision.UPDATE, f"updated: {', '.join(sorted(self._fields(step)))}"
                why = "These values differ from those OneFile last accepted; equal values are not sent."
                if step.after_assigning is not None:
                    why = "A learner's default employer is sent once the employer is assigned to the learner."
            case Grant():
                decision, sentence = Decision.ASSIGN, "assigned to the placement"
                why = "An employer is assigned to their placement by a separate call."
            case Assign():
                decision, sentence = Decision.ASSIGN, f"assigned the {step.user.role} {step.user.misid}"
                why = "An assignments feed has this assignment, and it has not been sent to OneFile."
            case Leaver():
                decision, sentence = Decision.ARCHIVED, "archived"
                why = "Its record has disappeared."
        return Decided(decision, sentence, why)

    def _why_unarchived(self) -> str:
        match self._account and self._account.status:
            case Status.ARCHIVED:
                return "The account is archived, and the MIS has its record."
            case Status.UNSURE:
                return "Its record is in the MIS, and it is not known whether the account is archived."
            case _:
                return "OneFile shows the account as archived, and the MIS has its record."

    def _without_rows(self) -> Decided:
        account = self._account
        if account is None:
            why = "No feed has a row with this MISID in this role, and syncd has no account for it."
            return Decided(Decision.NOTHING, "has no record and no account: nothing to send", why)
        if self._successor:
            why = "The person's record has that MISID now, as OneFile shows or an operator has answered."
            return Decided(Decision.REKEY, f"would become {self._successor}", why)
        if account.status is Status.ARCHIVED:
            why = "Its record is gone, and the account is archived already. It is unarchived if the record comes back."
            return Decided(Decision.ARCHIVED, "is archived: nothing to send", why)
        since = f"since {_day(account.left_at)}" if account.left_at else "and the next run is the first to see that"
        sentence = f"is a leaver: no feed has a row with this MISID in this role any more, {since}"
        return Decided(Decision.LEAVER, sentence, self._fate(account))

    def _fate(self, account: Account) -> str:
        """What the settings in [leavers] mean for a leaver."""
        policy, now = self._context.policy, self._context.clock()
        if any(isinstance(step, Leaver) for step in self._steps):
            return f"A run would archive it now: it has been gone for leavers.grace_days, {policy.grace.days}, or more."
        stays = "It is listed, and stays as it is"
        if self._key.role.is_place:
            return f"{stays}: classrooms and placements are never archived."
        if not policy.archives_leavers:
            return f'{stays}: leavers.action is "report".'
        if self._key.misid in policy.protected:
            return f"{stays}: leavers.protect names it."
        return _grace(account, policy.grace, now) or (
            "It is not archived while a new record may be the same person: see 'syncd held'."
        )

    def calls(self) -> tuple[ApiRequest, ...]:
        """The requests that a run would send, in their order."""
        learner_in_path = self._context.policy.learner_in_assign_path
        steps = chain[Step](self._steps, self._release)
        return tuple(request_for(step, self._ids, learner_in_path=learner_in_path) for step in steps)

    def assignments(self, wanted: Mapping[Pair, str], stored: Mapping[Pair, StoredAssignment]) -> Iterator[Assignment]:
        """The users who are assigned to the learner, or are to be; ``wanted`` are the rows, each with its feed."""
        to_come = {Pair(step.learner, step.user) for step in self._steps if isinstance(step, Assign)}
        for pair in sorted({*wanted, *(pair for pair in stored if pair.learner == self._key)}):
            feed, before = wanted.get(pair, ""), stored.get(pair)
            if pair in to_come:
                state = "would be assigned"
            elif before is None:
                state = f"is held: {self._unassigned.get(feed, 'see the decision')}"
            elif before.refusal:
                state = f"is held: {before.refusal}"
            else:
                state = "is assigned" if feed else "is assigned, and in no feed any more: only a person can undo that"
            yield Assignment(pair.user.role, pair.user.misid, feed, state)


def _why_created(create: Create) -> str:
    why = "syncd knows no account with this MISID in this role, and OneFile has none either."
    if create.former_role is None:
        return why
    return f"{why} It was {create.former_role} until now, and another role is another account."


def _key_of(step: Step) -> Key:
    return step.learner if isinstance(step, Assign) else step.key


def _noun(role: Role) -> str:
    return "ID" if role.is_place else "UserID"


def _plain(given: Value | Code) -> Value:
    return given.text if isinstance(given, Code) else given


def _day(at: datetime) -> str:
    return f"{at.astimezone():%d %b %Y}"


def _grace(account: Account, grace: timedelta, now: datetime) -> str:
    """What is left of a leaver's days of grace, as a sentence; empty if they are over."""
    due = (account.left_at or now) + grace
    if due > now:
        earliest = f"It is archived on {_day(due)} at the earliest, if it is still gone then"
        return f"{earliest}: leavers.grace_days is {grace.days}."
    if account.left_at is not None and account.days_gone < grace.days:
        return (
            f"It is not archived yet: since then the feeds were read completely on {account.days_gone} of the "
            f"{grace.days} days of leavers.grace_days."
        )
    return ""
