"""One record end to end: what the MIS has of it, what was made of that, and what a run would do, by which rule.

The decision is that of `make_plan`, which is made over nobody but those who bear on it; nothing is sent.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NoReturn, TypeAlias, cast

from syncd.core.accounts import Known, Status
from syncd.core.assignments import AssignmentRecord, Pair, StoredAssignment
from syncd.core.fields import GRANT, SENDING_ORDER, Kind, Role
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Code, Column, Held, Key, Layout, Reason, Record, Row
from syncd.core.values import Sent, Unusable, Value
from syncd.onefile import OneFile
from syncd.state import accounts, assignments, changes, held_records
from syncd.sync.context import SyncContext
from syncd.sync.feeds import layout_of, read_assignments
from syncd.sync.planner import make_plan
from syncd.sync.reasons import HELD


class Decision(StrEnum):
    """What a run would do about a record, in a word."""

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
    """One column of a row, on its way to a field of OneFile."""

    column: str
    """Empty where it is a default that gives the field."""
    field: str
    how: str
    """How it was read, in words and without the value."""
    value: object = None
    """What it came to; where that is nothing, what the MIS has."""
    is_sent: bool = False
    difference: str = ""
    """How it stands to what OneFile last accepted: new, differs or same; empty where there is nothing to compare."""


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
    feed: str
    accepted: Mapping[str, Sent]
    """What OneFile last accepted; ``None`` for what an answer was lost about."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is on the list of the held and of what is left out."""

    reason: Reason
    field: str
    detail: str
    since: datetime
    is_warning: bool


@dataclass(frozen=True, slots=True)
class LastChange:
    """The change that was sent last, and what became of it."""

    run: int
    at: datetime
    action: str
    outcome: str
    fields: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the client would send it."""

    method: str
    path: str
    fields: Mapping[str, Sent]


@dataclass(frozen=True, slots=True)
class Assignment:
    """Somebody whom the MIS wants assigned to a learner, or OneFile has assigned already."""

    role: Role
    misid: str
    feed: str
    """Empty where no feed has it any more."""
    state: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What a run would do, and why."""

    decision: Decision
    sentence: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanations:
    """All that there is to say of one MISID in one role."""

    key: Key
    rows: tuple[RowRead, ...]
    account: Account | None
    entries: tuple[Entry, ...]
    in_doubt_since: datetime | None
    last_change: LastChange | None
    decided: Decided
    calls: tuple[Call, ...]
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to say of one MISID, by role."""

    records: tuple[Explanations, ...]
    alike: tuple[str, ...] = ()
    """If there is nothing at all: MISIDs that differ only in case or in leading zeros."""


def explain(context: SyncContext, misid: str) -> Explanation:
    """Gather all that bears on one MISID, and have a run's own code decide; changes nothing.

    Raises what `make_plan` raises.
    """
    organisation_id, store = context.organisation_id, context.store
    with store.reading() as connection:
        known = accounts.known(connection, organisation_id)
    found = _read(context, misid, known)
    plan = make_plan(context, found.bearing).plan
    with store.reading() as connection:
        # Once more, so that nothing told of an account is older than the rest.
        known = accounts.known(connection, organisation_id)
        values = accounts.values(connection, store.cipher, [key for key in known if key.misid == misid])
        feeds = accounts.feeds(connection, organisation_id)
        synced_at = {
            Key(organisation_id, Role(row.role), row.misid): row.synced_at
            for row in accounts.listing(connection, organisation_id)
            if row.misid == misid
        }
        listed = [
            row
            for is_warning in (False, True)
            for row in held_records.listing(connection, organisation_id, warnings=is_warning)
            if row.misid == misid
        ]
        history = changes.history(connection, organisation_id, misid)
        unsettled = {each.key: each.at for each in changes.unsettled(connection, store.cipher, organisation_id)}
        remembered = assignments.stored(connection, organisation_id)
    told: list[Explanations] = []
    for role in SENDING_ORDER:
        key = Key(organisation_id, role, misid)
        rows = [read for read in found.rows if read.layout.role is role]
        entries = tuple(
            Entry(Reason(row.reason), row.field, row.detail, row.first_seen_at, row.is_warning)
            for row in listed
            if row.role == role
        )
        account = None
        if (one := known.get(key)) is not None:
            account = Account(one.user_id, one.status, synced_at[key], one.left_at, feeds[key], values[key])
        links = {link.pair: link.feed for link in found.links if link.key == key}
        if not (rows or account or entries or links or key in unsettled):
            continue
        last = next((row for row in reversed(history) if row.role == role), None)
        case = _Case(context, key, account, plan, known)
        told.append(
            Explanations(
                key,
                tuple(RowRead(read.layout.feed, read.number, tuple(case.cells(read))) for read in rows),
                account,
                entries,
                unsettled.get(key),
                last and LastChange(last.run_id, last.at, last.action, last.outcome, tuple(last.fields), last.message),
                case.decide(has_rows=bool(rows)),
                case.calls(),
                tuple(case.assignments(links, remembered)),
            )
        )
    return Explanation(tuple(told), () if told else found.alike(misid))


@dataclass(frozen=True, slots=True)
class _Read:
    """A row as it was, and what it was read as."""

    layout: Layout
    number: int
    row: Row
    record: Record | Held


@dataclass(slots=True)
class _Found:
    rows: list[_Read] = field(default_factory=list)
    links: list[AssignmentRecord] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    bearing: frozenset[str] = frozenset()
    """The MISIDs that a plan must be made over for its decision to be the one of a run over everybody."""

    def alike(self, misid: str) -> tuple[str, ...]:
        return tuple(sorted({key.misid for key in self.seen if _bare(key.misid) == _bare(misid)}))


def _bare(misid: str) -> str:
    return misid.casefold().lstrip("0")


def _read(context: SyncContext, misid: str, known: Mapping[Key, Known]) -> _Found:
    """Find the rows with a MISID, and who else bears on what becomes of them.

    Those are whoever a record refers to, for they may be created in the same run; places of one name; and, where
    somebody has gone and somebody is new, both, for they may be one person under two MISIDs.
    """
    found = _Found()
    found.links = [
        each for each in read_assignments(context) if isinstance(each, AssignmentRecord) and each.key.misid == misid
    ]
    bearing = {misid, *(link.pair.user.misid for link in found.links)}
    names: set[str] = set()
    places: dict[str, set[str]] = {}
    # Those who refer to others come first, so that one reading finds them all.
    for read in _rows(context):
        record = read.record
        found.seen.add(record.key)
        if record.key.misid == misid:
            found.rows.append(read)
        if isinstance(record, Held):
            continue
        if record.key.role.is_place:
            places.setdefault(str(record.fields["Name"]), set()).add(record.key.misid)
        if record.key.misid in bearing:
            for code in record.codes.values():
                (bearing if code.by == "MISID" else names).add(code.text)
    for name, misids in places.items():
        if name in names or misids & bearing:
            bearing |= misids
    gone = known.keys() - found.seen
    bearing |= {key.misid for key in gone}
    if any(key.misid == misid for key in gone):
        bearing |= {key.misid for key in found.seen - known.keys()}
    found.bearing = frozenset(bearing)
    return found


def _rows(context: SyncContext) -> Iterator[_Read]:
    """Every row that is this organisation's, or nobody's. Raises `MisUnreachable`, `ConfigurationError`."""
    is_main = context.organisation_id == context.main_organisation
    for feed in sorted(context.feeds, key=lambda feed: SENDING_ORDER.index(feed.role), reverse=True):
        with context.mis.read(feed.name, feed.query) as rows:
            layout = layout_of(context, feed, rows.columns)
            for number, row in enumerate(rows.stream, start=1):
                record = layout.read(row, number)
                organisation_id = record.key.organisation_id
                if organisation_id == context.organisation_id or (
                    is_main and organisation_id not in context.organisations
                ):
                    yield _Read(layout, number, row, record)


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

_IN_VAIN: Final = {Reason.REFERENCE_NOT_FOUND: "not found", Reason.AMBIGUOUS: "more than one has it"}

#: Whatever a plan has of one account, the held apart.
_Step: TypeAlias = Returner | Rekey | Create | Update | Grant | Assign | Leaver | Refresh


class _Case:
    """One key, with all that a plan says of it."""

    def __init__(
        self, context: SyncContext, key: Key, account: Account | None, plan: Plan, known: Mapping[Key, Known]
    ) -> None:
        self._context = context
        self._key = key
        self._account = account
        self._known = known
        links_feeds = {feed.name for feed in context.assignment_feeds}
        held = [hold for hold in plan.held if (hold.role, hold.misid) == (key.role, key.misid)]
        self._hold = next((hold for hold in held if hold.feed not in links_feeds), None)
        self._unassigned = {hold.feed: hold.detail for hold in held if hold.feed in links_feeds}
        self._steps = [step for step in _in_order(plan) if _key_of(step) == key]
        self._successor = next((rekey.key.misid for rekey in plan.rekeys if rekey.old == key), "")
        self._sent: dict[str, Sent] = {}
        for step in self._steps:
            self._sent |= self._body(step)

    def _body(self, step: _Step) -> dict[str, Sent]:
        match step:
            case Create() | Update():
                return {**step.fields, **{name: self._id(key) for name, key in step.waits_for.items()}}
            case Grant():
                return {GRANT: step.is_open}
            case Rekey():
                return {"MISID": step.key.misid}
            case _:
                return {}

    def _id(self, key: Key) -> int:
        """OneFile's id of an account; of one that is still to be made, words that stand for it in a call."""
        account = self._known.get(key)
        if account is not None and account.user_id is not None:
            return account.user_id
        return cast("int", f"{{{_noun(key.role)} of the {key.role} {key.misid}}}")

    def cells(self, read: _Read) -> Iterator[Cell]:
        """The columns of a row, and the defaults that stand in for some."""
        layout, record = read.layout, read.record
        yield Cell("MISID", "MISID", "the key", self._key.misid, "MISID" in self._sent, self._difference("MISID"))
        for column in layout.columns:
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
        """What an id, or the code for one, stands for."""
        if not isinstance(given, Code):
            return f"OneFile's own id: {given}"
        said = f"the {given.referent} with the {given.by} {given.text!r}"
        if self._hold is not None:
            in_vain = _IN_VAIN.get(self._hold.reason) if self._hold.field == name else None
            return f"looked up as {said}: {in_vain}" if in_vain else said
        noun = _noun(given.referent.roles[0]) if given.referent.roles else "ID"
        for step in self._steps:
            if isinstance(step, Create | Update) and name in step.waits_for:
                return f"looked up as {said}: created in the same run"
            if isinstance(step, Create | Update | Grant | Refresh) and name in step.ids:
                return f"looked up as {said}: {noun} {step.ids[name]}"
        # The record is unchanged, and then so is what its codes stand for.
        accepted = self._account.accepted.get(name) if self._account else None
        return f"looked up as {said}: {noun} {accepted}" if accepted else said

    def decide(self, *, has_rows: bool) -> Decided:
        """What becomes of the record or the account, and by which rule."""
        if self._hold is not None:
            advice = HELD[self._hold.reason]
            why = f"{advice.meaning} {advice.remedy}"
            return Decided(Decision.HELD, f"is held: {self._hold.detail}", why)
        if not has_rows:
            return self._without_rows()
        doing = [said for step in self._steps if (said := self._doing(step))]
        if doing:
            sentence = f"would be {', then '.join(each.sentence for each in doing)}"
            return Decided(doing[0].decision, sentence, " ".join(dict.fromkeys(each.why for each in doing)))
        if any(isinstance(step, Returner) for step in self._steps):
            why = "Its record had disappeared and is back; the account was not archived in the meantime."
        elif any(isinstance(step, Refresh) for step in self._steps):
            why = "Compared field by field, every value is the one OneFile last accepted."
        else:
            why = "The row is unchanged since OneFile last accepted it."
        return Decided(Decision.IN_STEP, "is in sync: nothing to send", why)

    def _doing(self, step: _Step) -> Decided | None:
        noun = _noun(self._key.role)
        match step:
            case Returner(is_archived=True):
                decision, sentence, why = Decision.UNARCHIVE, "unarchived", "Its record had disappeared and is back."
            case Rekey():
                decision, sentence = Decision.REKEY, f"given the account of {step.old.misid}, {noun} {step.user_id}"
                why = "The record looks like that one's, which is gone, and OneFile has the new MISID on that account."
            case Create():
                decision, sentence = Decision.CREATE, "created"
                why = "Neither syncd nor OneFile has an account with this MISID in this role."
                if step.was:
                    why += f" It was {step.was} until now, and another role is another account."
            case Update(is_link=True):
                decision, sentence = Decision.LINK, f"linked to {noun} {step.user_id}"
                why = (
                    "OneFile already has an account with this MISID: syncd adopts it instead of creating a second one."
                )
            case Update():
                decision, sentence = Decision.UPDATE, f"updated: {', '.join(sorted(self._body(step)))}"
                why = "These values differ from those OneFile last accepted; equal values are not sent."
                if step.assigned is not None:
                    why = "A learner's default employer is sent once the employer is assigned to the learner."
            case Grant():
                decision, sentence = Decision.ASSIGN, "assigned to the placement"
                why = "An employer is assigned to their placement by a separate call."
            case Assign():
                decision, sentence = Decision.ASSIGN, f"assigned the {step.user.role} {step.user.misid}"
                why = "A links feed has this assignment, and it has not been sent to OneFile."
            case _:
                return None
        return Decided(decision, sentence, why)

    def _without_rows(self) -> Decided:
        account = self._account
        if account is None:
            why = "No feed has a row with this MISID in this role, and syncd has no account for it."
            return Decided(Decision.NOTHING, "has no record and no account: nothing to send", why)
        if self._successor:
            why = "The person's record has that MISID now, and OneFile has it on the account."
            return Decided(Decision.REKEY, f"would become {self._successor}", why)
        if account.status is Status.ARCHIVED:
            why = "Its record is gone, and the account is archived already. It is unarchived if the record comes back."
            return Decided(Decision.ARCHIVED, "is archived: nothing to send", why)
        since = f"since {_day(account.left_at)}" if account.left_at else "and the next run is the first to see that"
        sentence = f"is a leaver: no feed has a row with this MISID in this role any more, {since}"
        return Decided(Decision.LEAVER, sentence, self._fate(account))

    def _fate(self, account: Account) -> str:
        """What becomes of a leaver by [leavers]."""
        policy, now = self._context.policy, self._context.clock()
        if any(isinstance(step, Leaver) and step.to_archive for step in self._steps):
            return f"A run would archive it now: it has been gone for leavers.grace_days, {policy.grace.days}, or more."
        stays = "It is listed, and stays as it is"
        if self._key.role.is_place:
            return f"{stays}: classrooms and placements are never archived."
        if not policy.archives_leavers:
            return f'{stays}: leavers.action is "report".'
        if self._key.misid in policy.protected:
            return f"{stays}: leavers.protect names it."
        due = (account.left_at or now) + policy.grace
        if due > now:
            return f"It is archived on {_day(due)} if it is still gone then: leavers.grace_days is {policy.grace.days}."
        return "It is not archived while a new record may be the same person: see 'syncd held'."

    def calls(self) -> tuple[Call, ...]:
        """What the client would send, in that order."""
        rehearsal = _Rehearsal()
        for step in self._steps:
            with suppress(_NotSent):
                self._rehearse(step, rehearsal)
        return tuple(rehearsal.calls)

    def _rehearse(self, step: _Step, onefile: OneFile) -> None:
        body = self._body(step)
        match step:
            case Returner(is_archived=True):
                onefile.unarchive_user(step.user_id)
            case Create():
                onefile.create(step.key.role, step.key.organisation_id, body)
            case Update() | Rekey():
                onefile.update(step.key.role, step.user_id or self._id(step.key), body)
            case Grant():
                accepted = self._account.accepted if self._account else {}
                placement_id = cast("int", self._sent.get("PlacementID") or accepted.get("PlacementID"))
                onefile.assign_placement(self._id(step.key), placement_id, grants_access=step.is_open)
            case Assign():
                learner_in_path = self._context.policy.learner_in_assign_path
                onefile.assign(self._id(step.user), self._id(step.learner), learner_in_path=learner_in_path)
            case Leaver(to_archive=True):
                onefile.archive_user(self._id(step.key))
            case _:
                pass

    def assignments(
        self, links: Mapping[Pair, str], remembered: Mapping[Pair, StoredAssignment]
    ) -> Iterator[Assignment]:
        """Whom the learner is assigned to, made or not; ``links`` are the rows, each with its feed."""
        to_come = {Pair(step.learner, step.user) for step in self._steps if isinstance(step, Assign)}
        for pair in sorted({*links, *(pair for pair in remembered if pair.learner == self._key)}):
            feed, before = links.get(pair, ""), remembered.get(pair)
            if pair in to_come:
                state = "would be assigned"
            elif before is None:
                state = f"is held: {self._unassigned.get(feed, 'see the decision')}"
            elif before.refusal:
                state = f"is held: {before.refusal}"
            else:
                state = "is assigned" if feed else "is assigned, and in no feed any more: only a person can undo that"
            yield Assignment(pair.user.role, pair.user.misid, feed, state)


def _in_order(plan: Plan) -> list[_Step]:
    """The steps of a plan as they are sent, and those that send nothing."""
    first = [update for update in plan.updates if update.assigned is None]
    after_assigning = [update for update in plan.updates if update.assigned is not None]
    return [
        *plan.returners,
        *plan.rekeys,
        *plan.creates,
        *first,
        *plan.grants,
        *plan.assigns,
        *after_assigning,
        *plan.leavers,
        *plan.refreshes,
    ]


def _key_of(step: _Step) -> Key:
    return step.learner if isinstance(step, Assign) else step.key


def _noun(role: Role) -> str:
    return "ID" if role.is_place else "UserID"


def _plain(given: Value | Code) -> Value:
    return given.text if isinstance(given, Code) else given


def _day(at: datetime) -> str:
    return f"{at.astimezone():%d %b %Y}"


class _NotSent(Exception):
    """The call is as it would be sent, and goes no further."""


class _Rehearsal(OneFile):
    """The client up to where a call leaves: what it would send is noted."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def _call(self, method: str, path: str, body: Mapping[str, Sent] | None, **_: object) -> NoReturn:
        self.calls.append(Call(method, path, body or {}))
        raise _NotSent
