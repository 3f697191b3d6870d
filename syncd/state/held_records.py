"""The held records and the warnings: the list that an operator works through, with the time each was first seen."""

from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Row, Select, bindparam, func, select

from syncd.core.evidence import Evidence, Likeness
from syncd.core.fields import Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.records import Held, Key, Reason, Warned
from syncd.core.scope import EVERYONE, Scope
from syncd.state import answers, assignments, changes, feed_digests, link_proposals, plan_steps
from syncd.state.db.tables import held
from syncd.state.session import StateSession


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """A held record, or a warning, as the list shows it."""

    organisation_id: int
    role: Role
    misid: str
    """Empty if the row has none."""
    feed: str
    row: int
    """The row's number in its feed, if the MISID does not identify it; else 0."""
    reason: Reason
    field: str
    detail: str
    is_warning: bool
    first_seen_at: datetime
    other: str = ""
    """The MISID that a question about a person, or a warning, is about."""
    user_id: int | None = None
    """The account in OneFile that a question is about."""
    evidence: Evidence | None = None
    fingerprint: str = ""
    """Of the record that a question is about."""
    answer: Answer | None = None
    """What an operator has answered; the next run carries it out."""

    @property
    def key(self) -> Key:
        """The record it is about."""
        return Key(self.organisation_id, self.role, self.misid)

    @property
    def answers(self) -> Collection[Answer]:
        """The possible answers; none if no question is asked.

        The answer "same" gives the record an account, so there must be exactly one that it can get: not that of another
        current record, nor one of several.
        """
        if self.reason not in ANSWERED_BY_RETRY or not self.misid:
            return ()
        return tuple(Answer) if self.user_id is not None else (Answer.NEW,)


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the list."""

    misids: Collection[str] = ()
    """Only these; all of them if empty."""
    reason: Reason | None = None
    role: Role | None = None

    def __contains__(self, entry: HeldEntry) -> bool:
        return (
            (not self.misids or entry.misid in self.misids)
            and self.reason in {None, entry.reason}
            and self.role in {None, entry.role}
        )

    @property
    def names_questions(self) -> bool:
        """Whether it names MISIDs or a reason, so that it can answer questions."""
        return bool(self.misids) or self.reason is not None


EVERYTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class HeldChanges:
    """The records that a run added to the list and removed from it."""

    added: list[Held]
    released: list[Key]


ANSWERED_BY_RETRY: Final = {
    Reason.REKEYED: Answer.NEW,
    Reason.LOOKALIKE_KEY: Answer.NEW,
    Reason.HAS_AN_ACCOUNT: Answer.NEW,
    Reason.ANOTHER_PERSON: Answer.SAME,
}
"""The questions about a person, and what ``retry`` answers to each."""

_RETRIED_IF_NAMED: Final = (Reason.REJECTED, Reason.SEARCH_MISMATCH, Reason.IN_DOUBT)

_Identity: TypeAlias = tuple[object, ...]
_IDENTITY: Final = ("role", "misid", "feed", "row", "reason", "field", "is_warning")

#: What identifies an entry, of this organisation or another.
_ENTRY: Final = ("organisation_id", *_IDENTITY)
#: Databases limit how many parameters one statement may have.
_AT_ONCE: Final = 500

_MAY_CHANGE: Final = ("fingerprint", "other", "user_id", "evidence")

_COLUMNS: Final = tuple(held.c[each.name] for each in fields(HeldEntry) if each.name != "answer")
_ENTRIES: Final = select(held).where(held.c.organisation_id == bindparam("here"))


def replace(
    session: StateSession,
    holds: Collection[Held],
    warnings: Iterable[Warned],
    scope: Scope = EVERYONE,
) -> HeldChanges:
    """Replace the list by what this run found; an entry that stays keeps its first-seen time.

    ``scope`` is what the run was limited to; entries of other records stay as they are.
    """
    found: dict[_Identity, dict[str, Any]] = {}
    for hold in holds:
        row = _held_to_row(session, hold)
        found[_identity(row)] = row
    for warned in warnings:
        row = _warning_to_row(session, warned)
        found.setdefault(_identity(row), row)

    now = session.now
    listed = {
        _identity(row._asdict()): row
        for row in session.connection.execute(select(held).where(held.c.organisation_id == session.organisation_id))
        if row.misid in scope
    }
    for identity, row in found.items():
        if identity not in listed:
            session.connection.execute(held.insert().values(row | {"first_seen_at": now}))
        elif _content(session, listed[identity]._asdict()) != _content(session, row):
            session.connection.execute(held.update().where(held.c.id == listed[identity].id).values(row))
    gone = [row for identity, row in listed.items() if identity not in found]
    _delete(session, [row.id for row in gone])

    before = {_key(row) for row in listed.values() if not row.is_warning}
    after = {Key(hold.organisation_id, hold.role, hold.misid): hold for hold in holds}
    added = [hold for key, hold in after.items() if key not in before]
    return HeldChanges(added, [key for key in before if key not in after and key.misid])


def hold(session: StateSession, hold: Held) -> None:
    """Add to the list one record that could not be sent."""
    row = _held_to_row(session, hold)
    same = [held.c[name] == row[name] for name in _ENTRY]
    session.connection.execute(held.delete().where(*same))
    session.connection.execute(held.insert().values(row | {"first_seen_at": session.now}))


def entries(session: StateSession) -> tuple[list[Held], list[Warned]]:
    """The list as the last run left it: the held records, and the warnings."""
    holds: list[Held] = []
    warnings: list[Warned] = []
    for row in session.connection.execute(_ENTRIES, {"here": session.organisation_id}):
        if row.is_warning:
            evidence = _evidence(row.evidence)
            detail = session.cipher.decrypt_text(row.detail)
            warnings.append(Warned(_key(row), row.feed, Reason(row.reason), row.field, detail, row.other, evidence))
        else:
            holds.append(_held(session, row))
    return holds, warnings


def refused(session: StateSession) -> dict[Key, Held]:
    """The records that OneFile refused, by key, without refused assignments, which have a field."""
    rows = session.connection.execute(
        select(held).where(
            held.c.organisation_id == session.organisation_id, held.c.reason == Reason.REFUSED, held.c.field == ""
        )
    )
    return {_key(row): _held(session, row) for row in rows}


def retry(session: StateSession, selection: Selection = EVERYTHING, answer: Answer | None = None) -> int:
    """Let held records be tried again; returns how many.

    Refused records are sent again. If the selection names MISIDs or a reason, what an operator has rejected is planned
    again, a search that returned other MISIDs is made again, a create in doubt that no search shows counts as not made,
    and questions about people are answered:
    by ``answer`` where it is possible, or else as ``ANSWERED_BY_RETRY`` says. A named person for whom first contact has
    proposed an account, and whom no run has held since, is a new person.
    """
    entries = [entry for entry in listing(session) if entry in selection]
    retried = {Reason.REFUSED, *(_RETRIED_IF_NAMED if selection.names_questions else ())}
    doubted = {entry.key for entry in entries if entry.reason is Reason.IN_DOUBT and entry.reason in retried}
    confirmed = changes.confirm_absent(session, doubted) if doubted else set()
    answered: list[tuple[HeldEntry, Answer | None]] = [
        (entry, None)
        for entry in entries
        if entry.reason in retried and (entry.reason is not Reason.IN_DOUBT or entry.key in confirmed)
    ]
    for entry in entries if selection.names_questions else ():
        chosen = answer or ANSWERED_BY_RETRY.get(entry.reason)
        if chosen in entry.answers:
            answered.append((entry, chosen))
    if not selection.names_questions and selection.role is None:
        # Those whose entry is gone, too.
        assignments.retry(session, ())
    count = store_answers(session, answered)
    if answer is Answer.SAME or selection.reason not in {None, Reason.HAS_AN_ACCOUNT}:
        return count
    return count + _answer_proposals(session, selection, {entry.key for entry, _ in answered})


def _answer_proposals(session: StateSession, selection: Selection, answered: Collection[Key]) -> int:
    """Answer that named people whom no run has held since an account was proposed are new; returns how many."""
    keys = [
        key
        for key in link_proposals.pending(session)
        if key.misid in selection.misids and selection.role in {None, key.role} and key not in answered
    ]
    for key in keys:
        answers.save(session, key, StoredAnswer(Answer.NEW, reason=Reason.HAS_AN_ACCOUNT))
    return len(keys)


def store_answers(session: StateSession, answered: Collection[tuple[HeldEntry, Answer | None]]) -> int:
    """Store the answers to questions about people, and let refused records be sent again; returns how many records.

    The next run carries the answers out. An answer must be one of ``entry.answers``, or ``None`` for a record about
    whose person no question is asked.
    """
    plan_steps.retry(session, {entry.key for entry, _ in answered if entry.reason is Reason.REJECTED})
    refused_ones = [entry for entry, _ in answered if entry.reason is Reason.REFUSED]
    for entry in refused_ones:
        session.connection.execute(held.delete().where(*(held.c[name] == getattr(entry, name) for name in _ENTRY)))
    learners = sorted({entry.misid for entry in refused_ones if entry.role is Role.LEARNER})
    for start in range(0, len(learners), _AT_ONCE):
        assignments.retry(session, learners[start : start + _AT_ONCE])
    for entry, chosen in answered:
        if chosen is not None:
            about = StoredAnswer(chosen, entry.fingerprint, entry.other, entry.user_id, entry.reason)
            answers.save(session, entry.key, about)
    feed_digests.invalidate(session)
    return len({entry.key for entry, _ in answered})


def release_refused(session: StateSession, key: Key) -> None:
    """Let a refused record be sent again, because its account was unarchived."""
    is_it = (held.c.organisation_id == key.organisation_id) & (held.c.role == key.role) & (held.c.misid == key.misid)
    session.connection.execute(held.delete().where(is_it, held.c.reason == Reason.REFUSED, held.c.field == ""))


def listing(session: StateSession, selection: Selection = EVERYTHING, *, warnings: bool = False) -> list[HeldEntry]:
    """The held records, or the warnings, grouped by reason."""
    rows = session.connection.execute(_listed(session.organisation_id, warnings=warnings))
    return [entry for entry in _to_entries(session, rows) if entry in selection]


def page(session: StateSession, reason: Reason, *, warnings: bool, first: int, most: int) -> list[HeldEntry]:
    """At most ``most`` of the entries listed for a reason, from position ``first``, counted from 0."""
    of_reason = _listed(session.organisation_id, warnings=warnings).where(held.c.reason == reason)
    return _to_entries(session, session.connection.execute(of_reason.offset(first).limit(most)))


def of_organisations(
    session: StateSession,
    organisations: Collection[int],
    selection: Selection,
    *,
    warnings: bool,
    first: int,
    most: int,
) -> tuple[list[HeldEntry], int]:
    """At most ``most`` of the selected entries of several organisations, and how many there are.

    They are grouped by reason; ``first`` is the position of the first one, counted from 0.
    """
    columns = held.c
    conditions = [columns.organisation_id.in_(organisations), columns.is_warning == warnings]
    conditions += [columns.misid.in_(selection.misids)] if selection.misids else []
    conditions += [] if selection.reason is None else [columns.reason == selection.reason]
    conditions += [] if selection.role is None else [columns.role == selection.role]
    order = (columns.reason, columns.organisation_id, columns.role, columns.misid, columns.row, columns.id)
    listed = select(*_COLUMNS).where(*conditions).order_by(*order).offset(first).limit(most)
    count = session.connection.scalar(select(func.count()).select_from(held).where(*conditions)) or 0
    given = ChainMap(*(answers.stored(session.for_organisation(each)) for each in organisations))
    return [_to_entry(session, row, given.get(_key(row))) for row in session.connection.execute(listed)], count


def of_record(session: StateSession, key: Key) -> list[HeldEntry]:
    """The entries of one record, warnings last."""
    is_it = (held.c.role == key.role) & (held.c.misid == key.misid)
    listed = select(*_COLUMNS).where(held.c.organisation_id == key.organisation_id, is_it)
    rows = session.connection.execute(listed.order_by(held.c.is_warning, held.c.reason, held.c.field))
    return _to_entries(session, rows)


def _listed(organisation_id: int, *, warnings: bool) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .where(held.c.organisation_id == organisation_id, held.c.is_warning == warnings)
        .order_by(held.c.reason, held.c.role, held.c.misid, held.c.row, held.c.id)
    )


def _to_entries(session: StateSession, rows: Iterable[Row[Any]]) -> list[HeldEntry]:
    given = answers.stored(session)
    return [_to_entry(session, row, given.get(_key(row))) for row in rows]


def _to_entry(session: StateSession, row: Row[Any], given: StoredAnswer | None) -> HeldEntry:
    user_ids = () if row.user_id is None else (row.user_id,)
    is_answered = (
        given is not None and given.reason == row.reason and given.is_about(row.fingerprint, row.other, user_ids)
    )
    return HeldEntry(
        row.organisation_id,
        Role(row.role),
        row.misid,
        row.feed,
        row.row,
        Reason(row.reason),
        row.field,
        session.cipher.decrypt_text(row.detail),
        row.is_warning,
        row.first_seen_at,
        row.other,
        row.user_id,
        _evidence(row.evidence),
        row.fingerprint,
        given.answer if given is not None and is_answered else None,
    )


def by_reason(session: StateSession, *, warnings: bool) -> Counter[Reason]:
    """How many records are held, or how many warnings there are, for each reason."""
    rows = session.connection.execute(
        select(held.c.reason, func.count())
        .where(held.c.organisation_id == session.organisation_id, held.c.is_warning == warnings)
        .group_by(held.c.reason)
    )
    return Counter({Reason(row[0]): row[1] for row in rows})


def counts(session: StateSession) -> tuple[Counter[Reason], int]:
    """How many records are held for each reason, and how many warnings there are in all."""
    rows = session.connection.execute(
        select(held.c.is_warning, held.c.reason, func.count())
        .where(held.c.organisation_id == session.organisation_id)
        .group_by(held.c.is_warning, held.c.reason)
    ).all()
    by_reason = Counter({Reason(reason): count for is_warning, reason, count in rows if not is_warning})
    return by_reason, sum(count for is_warning, _, count in rows if is_warning)


def new_between(session: StateSession, since: datetime, until: datetime) -> Counter[Reason]:
    """How many records are held that were first seen after ``since`` and not after ``until``, by reason."""
    rows = session.connection.execute(
        select(held.c.reason, func.count())
        .where(
            held.c.organisation_id == session.organisation_id,
            held.c.is_warning.is_(False),
            held.c.first_seen_at > since,
            held.c.first_seen_at <= until,
        )
        .group_by(held.c.reason)
    )
    return Counter({Reason(row[0]): row[1] for row in rows})


def _content(session: StateSession, row: Mapping[str, Any]) -> list[Any]:
    """What may change of an entry that stays. The same text is encrypted differently each time."""
    return [session.cipher.decrypt_text(row["detail"]), *(row[name] for name in _MAY_CHANGE)]


def _delete(session: StateSession, numbers: list[int]) -> None:
    if numbers:
        session.connection.execute(
            held.delete().where(held.c.id == bindparam("number")), [{"number": each} for each in numbers]
        )


def _held(session: StateSession, row: Row[Any]) -> Held:
    return Held(
        row.organisation_id,
        Role(row.role),
        row.misid,
        row.feed,
        Reason(row.reason),
        row.field,
        session.cipher.decrypt_text(row.detail),
        row.row,
        row.fingerprint,
        row.other,
        row.user_id,
        _evidence(row.evidence),
    )


def _evidence(stored: dict[str, Any] | None) -> Evidence | None:
    if stored is None:
        return None
    return Evidence(Likeness(stored["likeness"]), tuple(stored["equal"]), tuple(stored["differ"]))


def _evidence_to_json(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    return {
        "likeness": evidence.likeness.value,
        "equal": list(evidence.equal),
        "differ": list(evidence.differ),
    }


def _key(row: Row[Any]) -> Key:
    return Key(row.organisation_id, Role(row.role), row.misid)


def _identity(row: dict[str, Any]) -> _Identity:
    return tuple(row[name] for name in _IDENTITY)


def _held_to_row(session: StateSession, hold: Held) -> dict[str, Any]:
    return {
        "organisation_id": hold.organisation_id,
        "role": hold.role.value,
        "misid": hold.misid,
        "feed": hold.feed,
        "row": hold.row,
        "reason": hold.reason.value,
        "field": hold.field,
        "detail": session.cipher.encrypt_text(hold.detail),
        "is_warning": False,
        "fingerprint": hold.fingerprint,
        "other": hold.other,
        "user_id": hold.user_id,
        "evidence": _evidence_to_json(hold.evidence),
    }


def _warning_to_row(session: StateSession, warned: Warned) -> dict[str, Any]:
    return {
        "organisation_id": warned.key.organisation_id,
        "role": warned.key.role.value,
        "misid": warned.key.misid,
        "feed": warned.feed,
        "row": 0,
        "reason": warned.reason.value,
        "field": warned.field,
        "detail": session.cipher.encrypt_text(warned.detail),
        "is_warning": True,
        "fingerprint": "",
        "other": warned.other,
        "user_id": None,
        "evidence": _evidence_to_json(warned.evidence),
    }
