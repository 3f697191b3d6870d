"""Decisions about held records from a file: the list that 'syncd held --csv' writes, with an operator's answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.misid import skeleton
from syncd.core.records import Reason
from syncd.errors import ConfigurationError
from syncd.state import held_records
from syncd.state.held_records import HeldEntry
from syncd.state.session import StateSession
from syncd.sync.reasons import describe


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A row of the file that has an answer."""

    role: Role
    misid: str
    reason: Reason
    answer: Answer
    where: str
    """The file and the line."""
    other: str = ""
    user_id: int | None = None

    @property
    def title(self) -> str:
        """The record, as a report names it."""
        return f"{self.role} {self.misid}"


@dataclass(frozen=True, slots=True)
class Decisions:
    """What became of the rows of a file."""

    stored: int = 0
    """How many records the next run decides by an answer or tries again."""
    answered: int = 0
    """How many rows had been answered like this before."""
    outdated: Sequence[str] = ()
    """The rows that no longer apply, each with the reason."""


def decide(session: StateSession, rows: Sequence[DecisionRow]) -> Decisions:
    """Store the answers of a file; the next run carries them out.

    Rows whose record is no longer held for the same reason are left out. Raises `ConfigurationError` for the first
    answer that is not possible, and then stores nothing.
    """
    _refuse_repeated(rows)
    listed: dict[tuple[Role, str, Reason], list[HeldEntry]] = {}
    for entry in held_records.listing(session):
        listed.setdefault((entry.role, entry.misid, entry.reason), []).append(entry)
    looks = {(role, skeleton(misid), reason): misid for role, misid, reason in listed}
    to_store: list[tuple[HeldEntry, Answer | None]] = []
    before, outdated = 0, []
    for row in rows:
        entries = listed.get((row.role, row.misid, row.reason))
        if entries is None:
            alike = looks.get((row.role, skeleton(row.misid), row.reason))
            hint = f"; {alike} is, and a spreadsheet may have dropped the zeros at its front" if alike else ""
            outdated.append(f"{row.where}: the {row.title} is no longer held for this reason{hint}")
        elif row.reason in {Reason.REFUSED, Reason.REJECTED}:
            to_store += [(entry, None) for entry in entries]
        elif (answered := _answered(row, entries[0])) is None:
            outdated.append(f"{row.where}: the question about the {row.title} is another one now")
        elif answered.answer is row.answer:
            before += 1
        else:
            to_store.append((answered, row.answer))
    return Decisions(held_records.store_answers(session, to_store) if to_store else 0, before, outdated)


def _answered(row: DecisionRow, entry: HeldEntry) -> HeldEntry | None:
    """Return the entry as the row answers it, or ``None`` if the row is about another question.

    Raises `ConfigurationError` if that answer is not possible.
    """
    if not entry.answers:
        raise ConfigurationError(
            f"{row.where}, column answer: must be empty, because no question is asked about the {row.title}, which is "
            f"held as {describe(row.reason)!r}. Nothing was changed."
        )
    if row.other != entry.other:
        return None
    if entry.user_id is None and not entry.other and row.answer is Answer.SAME and row.user_id is not None:
        # Several accounts may be the person's, and the operator has chosen one.
        return replace(entry, user_id=row.user_id)
    if row.user_id not in {None, entry.user_id}:
        return None
    if row.answer in entry.answers:
        return entry
    if entry.other:
        raise ConfigurationError(
            f"{row.where}, column answer: the {row.title} and {entry.other} both have a record in the MIS, so they "
            "cannot have one account. Correct the MISID in the MIS, or answer new. Nothing was changed."
        )
    raise ConfigurationError(
        f"{row.where}, column user_id: must be the UserID of the account of the {row.title}, because several accounts "
        "are likely. 'syncd held' lists them. Nothing was changed."
    )


def _refuse_repeated(rows: Iterable[DecisionRow]) -> None:
    """Raise `ConfigurationError` if two rows are about one record, or give one account to two records."""
    records: dict[tuple[Role, str, Reason], str] = {}
    accounts: dict[tuple[Role, str | int], str] = {}
    for row in rows:
        earlier = records.setdefault((row.role, row.misid, row.reason), row.where)
        if earlier != row.where:
            raise ConfigurationError(
                f"{row.where}, column misid: the same record as in {earlier}; one row for each. Nothing was changed."
            )
        given = row.other or row.user_id
        if row.answer is not Answer.SAME or row.reason is Reason.ANOTHER_PERSON or given is None:
            continue
        earlier = accounts.setdefault((row.role, given), row.where)
        if earlier != row.where:
            whose = f"the account of {given}" if row.other else f"UserID {given}"
            raise ConfigurationError(
                f"{row.where}, column answer: {whose} is given to another record in {earlier}. Nothing was changed."
            )
