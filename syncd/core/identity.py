"""Identity: whether a changed record is about a person who has an account already, under this MISID or another one.

A MISID is the key of an account, but people live longer than keys: an MIS reuses them, changes them, and gives a
person a new one for each programme. `evidence` says how likely two records are about one person; this module says what
follows:

====================  ==============================================================================================
`LOOKALIKE`           a new MISID that differs from a known one only in case, width, blanks or leading zeros: held
`REKEYED`             a new MISID, and by strong evidence the person of an account whose record is gone: held
`NEXT_PROGRAMME`      the same, but the record starts after the account's planned end, or both have one `PersonKey`
                      and the record starts later: a new account, as OneFile advises (F3)
`SAME_PERSON`         strong evidence, and both have a record: sent, with a warning
`ANOTHER_PERSON`      a known MISID whose values have become those of another person: held
====================  ==============================================================================================

If both have a `PersonKey`, it decides who is who. An operator's answer decides before all of this; `compare` carries
it out.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto
from hashlib import blake2b
from itertools import chain, islice
from math import inf
from sys import intern
from typing import Final, Self

from syncd.core.accounts import Known
from syncd.core.evidence import Evidence, Likeness, Traits, compare, fold, is_replaced
from syncd.core.fields import PERSON_COLUMN, Role
from syncd.core.misid import skeleton
from syncd.core.records import Key, Reason, Record
from syncd.core.values import Value

#: A value that more records of a role have identifies nobody: an office's address, a stand-in.
COMMON: Final = 20


class Answer(StrEnum):
    """What an operator has answered to a question about a person."""

    SAME = "same"
    NEW = "new"


class Identity(Enum):
    """What is found about the person of a record."""

    LOOKALIKE = auto()
    REKEYED = auto()
    NEXT_PROGRAMME = auto()
    SAME_PERSON = auto()
    ANOTHER_PERSON = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found about the person of a record, and by which evidence."""

    identity: Identity
    other: Key | None
    """The account or record that it is about; ``None`` for values that are those of an unknown person."""
    evidence: Evidence
    is_other_current: bool = False
    """Whether the other one has a record in the feeds."""


@dataclass(frozen=True, slots=True)
class Person:
    """What identifies the person of a record or an account."""

    key: Key
    traits: Traits
    person_key: str = ""
    """A keyed digest of the MIS's own key of the person."""
    starts: str = ""
    planned_end: str = ""
    name: str = ""
    """Of a place."""

    @classmethod
    def of_record(cls, record: Record, secret: bytes) -> Self:
        """Read the person of a record; ``secret`` is the key of the digests."""
        person_key = _digest(secret, record.key.role, "person", record.person_key) if record.person_key else ""
        return cls.of_values(record.key, record.fields, person_key)

    @classmethod
    def of_values(cls, key: Key, values: Mapping[str, Value], person_key: str = "") -> Self:
        """Read the person of an account from the values that OneFile last accepted."""
        if key.role.is_place:
            return cls(key, Traits(), name=fold(str(values.get("Name", ""))))
        # Many people have the same dates, which are kept once.
        dates = (intern(str(values.get(name) or "")) for name in ("StartOn", "PlannedEndDate"))
        return cls(key, Traits.of_values(values), person_key, *dates)

    def marks(self, secret: bytes) -> Iterator[str]:
        """Return the digests by which another record of this person is found."""
        role = self.key.role
        if self.name:
            yield _digest(secret, role, "name", self.name)
        for kind, *values in self.traits.marks():
            yield _digest(secret, role, kind, *values)
        if self.person_key:
            yield self.person_key

    def compare(self, other: "Person") -> Evidence:
        """Return how likely the two are one person, or one place."""
        if self.key.role.is_place:
            is_same = bool(self.name) and self.name == other.name
            return Evidence(Likeness.CERTAIN, ("Name",)) if is_same else Evidence(Likeness.CONTRADICTED, (), ("Name",))
        evidence = compare(self.traits, other.traits)
        if not (self.person_key and other.person_key):
            return evidence
        if self.person_key == other.person_key:
            return replace(evidence, likeness=Likeness.CERTAIN, equal=(PERSON_COLUMN, *evidence.equal))
        return replace(evidence, likeness=Likeness.CONTRADICTED, differ=(PERSON_COLUMN, *evidence.differ))

    def is_next_programme_of(self, other: "Person") -> bool:
        """Whether this is a later enrolment of the same person: OneFile advises a new account for it (F3)."""
        if self.starts and other.planned_end and self.starts > other.planned_end:
            return True
        is_one = bool(self.person_key) and self.person_key == other.person_key
        return is_one and bool(other.starts) and self.starts > other.starts


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An operator's answer to a question about the person of a record.

    It holds as long as the question is the same. "New" holds for the same record, and for a changed one that the same
    other account is compared with; "same" for the same other account; and an answer about the owner of a MISID for the
    same record. An answer without a record or an account holds for the MISID.
    """

    answer: Answer
    fingerprint: str = ""
    """Of the record when the question was asked."""
    other: str = ""
    """The MISID that the question was about."""
    user_id: int | None = None
    """The account in OneFile that the question was about."""
    reason: Reason | None = None
    """The question."""

    @property
    def is_release(self) -> bool:
        """Whether it says that the MISID of an account belongs to a new person now."""
        return self.answer is Answer.NEW and self.reason is Reason.ANOTHER_PERSON

    @property
    def is_new_person(self) -> bool:
        """Whether it says that a record without an account is about a person who has none."""
        return self.answer is Answer.NEW and not self.is_release

    def is_about(self, fingerprint: str, other: str = "", user_ids: Collection[int] = ()) -> bool:
        """Whether it answers a question about a record with this fingerprint, and about one of these other accounts."""
        if not (self.fingerprint or self.other or self.user_id):
            return True
        is_same_record = self.fingerprint == fingerprint
        if self.reason is Reason.ANOTHER_PERSON:
            return is_same_record
        is_same_other = (self.other != "" and self.other == other) or self.user_id in user_ids
        return is_same_other or (is_same_record and self.answer is Answer.NEW)


@dataclass(frozen=True, slots=True)
class PeopleKnown:
    """What is known of people besides the feeds, for the changed records only."""

    accounts: Mapping[Key, Known] = field(default_factory=dict)
    """The accounts of the store."""
    values: Mapping[Key, Mapping[str, Value]] = field(default_factory=dict)
    """The values that OneFile last accepted of the changed records."""
    resembling: Collection[Person] = ()
    """The accounts that share a mark with a changed record."""
    unconfirmed: Collection[Person] = ()
    """The people of creates that no answer has confirmed, as they were sent: each may have an account."""
    person_keys: Mapping[Key, str] = field(default_factory=dict)
    """The digests of the person keys of the changed records' accounts."""
    answers: Mapping[Key, StoredAnswer] = field(default_factory=dict)


def identify(
    records: Callable[[], Iterable[Record]], absent: Set[Key], known: PeopleKnown, secret: bytes
) -> dict[Key, Finding]:
    """Return what is found about the people of changed records, by key; most records have no finding.

    ``records`` returns the records, each time from the beginning. ``absent`` are the accounts, and the keys of
    unconfirmed creates, without a record. ``secret`` is the key of the digests.
    """
    # Of an account that a search has found, the store has less than was sent.
    index = _Index(chain(known.resembling, known.unconfirmed), secret)
    unconfirmed = {person.key for person in known.unconfirmed}
    findings: dict[Key, Finding] = {}
    for record in records():
        if record.key in known.accounts and (found := _another_person(record, known, index, secret)) is not None:
            findings[record.key] = found
    gone = absent | findings.keys()

    def new_keys() -> Iterator[Key]:
        keys = (record.key for record in records())
        return (key for key in keys if key not in known.accounts and key not in unconfirmed)

    lookalikes = _lookalikes(new_keys, [*known.accounts, *unconfirmed])
    sharing, shared = _sharing_marks(records, index, secret, COMMON + len(findings))
    # Of a key that is another person's now, the account is compared, and not the record.
    twins = _Index((person for key, person in sharing.items() if key not in findings), secret, shared)
    for record in records():
        if record.key not in findings and (record.key in sharing or record.key in lookalikes):
            found = _Asked(record, known, gone, secret).find(lookalikes.get(record.key), index, twins)
            if found is not None:
                findings[record.key] = found
    return findings


def marks_to_look_up(records: Iterable[Record], secret: bytes) -> Iterator[tuple[Key, str]]:
    """Return the digests by which the store is asked for accounts of the same people, with the key of each record."""
    for record in records:
        for mark in Person.of_record(record, secret).marks(secret):
            yield record.key, mark


@dataclass(frozen=True, slots=True)
class _Asked:
    """A record of which it is asked who its person is."""

    record: Record
    known: PeopleKnown
    gone: Set[Key]
    secret: bytes

    def find(self, lookalike: Key | None, stored: "_Index", twins: "_Index") -> Finding | None:
        key, answered = self.record.key, self.known.answers.get(self.record.key)
        is_new, not_these = key not in self.known.accounts, {key.misid}
        if answered is not None and answered.is_new_person:
            if answered.is_about(self.record.fingerprint(self.secret)):
                return None
            # The record has changed since the answer, but it is still not that person.
            not_these.add(answered.other)
        person = Person.of_record(self.record, self.secret)
        sharing = chain(stored.sharing(person), twins.sharing(person))
        others = {other.key: other for other in sharing if other.key.misid not in not_these}
        compared = [(other, person.compare(other)) for other in others.values()]
        found = [
            (other, Finding(self._identity(person, other), other.key, evidence, other.key not in self.gone))
            for other, evidence in sorted(compared, key=lambda pair: pair[0].key)
            if evidence.likeness.is_strong or (other.key in self.gone and evidence.is_worth_a_question)
        ]
        if is_new and lookalike is not None and lookalike.misid not in not_these:
            evidence = next((found for other, found in compared if other.key == lookalike), None)
            is_contradicted = evidence is not None and PERSON_COLUMN in evidence.differ
            if not is_contradicted and not _is_somebody_else(found, lookalike):
                is_current = lookalike not in self.gone
                return Finding(Identity.LOOKALIKE, lookalike, evidence or Evidence(Likeness.POSSIBLE), is_current)
        if not is_new:
            found = [pair for pair in found if pair[1].identity is Identity.SAME_PERSON]
        if answered is not None and answered.answer is Answer.SAME:
            # If several accounts may be the person's, the operator has chosen one.
            found = [pair for pair in found if _is_chosen(pair[1], answered)] or found
        return min(found, key=lambda pair: self._rank(person, *pair))[1] if found else None

    def _rank(self, person: Person, other: Person, finding: Finding) -> tuple[int, int, bool, float]:
        """Of several accounts of one person, the question is about the likeliest: of this programme, or the latest."""
        account = self.known.accounts.get(other.key)
        left_at = account.left_at if account else None
        return (
            finding.identity.value,
            list(Likeness).index(finding.evidence.likeness),
            person.starts != other.starts,
            -left_at.timestamp() if left_at else -inf,
        )

    def _identity(self, person: Person, other: Person) -> Identity:
        if person.is_next_programme_of(other):
            return Identity.NEXT_PROGRAMME
        if other.key in self.gone:
            return Identity.REKEYED
        # The later enrolment of the two is the next programme.
        return Identity.NEXT_PROGRAMME if other.is_next_programme_of(person) else Identity.SAME_PERSON


def _is_somebody_else(found: Iterable[tuple[Person, Finding]], lookalike: Key) -> bool:
    """Whether the person of a record has lost the record of another account, so that the likeness of MISIDs is chance.

    A question about the MISIDs would hide the one about the person.
    """
    strong = {finding.other: finding.identity for _, finding in found if finding.evidence.likeness.is_strong}
    return lookalike not in strong and Identity.REKEYED in strong.values()


def _is_chosen(finding: Finding, answered: StoredAnswer) -> bool:
    return finding.identity is Identity.REKEYED and finding.other is not None and finding.other.misid == answered.other


def _another_person(record: Record, known: PeopleKnown, index: "_Index", secret: bytes) -> Finding | None:
    """Return a finding if the values under a known MISID have become those of another person."""
    key = record.key
    if key.role.is_place or not (values := known.values.get(key)):
        return None
    answer = known.answers.get(key)
    if answer is not None and answer.answer is Answer.SAME and answer.fingerprint == record.fingerprint(secret):
        return None
    before = Person.of_values(key, values, known.person_keys.get(key, ""))
    # OneFile keeps a value that the feed does not supply, or that is left out.
    now = replace(
        Person.of_record(record, secret), traits=Traits.of_values({**_without_numbers(values), **record.fields})
    )
    evidence = before.compare(now)
    if PERSON_COLUMN in evidence.differ:
        is_other = compare(before.traits, now.traits).likeness is not Likeness.CERTAIN
        return Finding(Identity.ANOTHER_PERSON, None, evidence) if is_other else None
    # The MIS's own key of the person may be right in a row whose other columns have slipped.
    owner = _owner_of_values(before, now, index) if {"LastName", "Email"} <= set(evidence.differ) else None
    is_other = PERSON_COLUMN not in evidence.equal and is_replaced(before.traits, now.traits)
    return Finding(Identity.ANOTHER_PERSON, owner, evidence) if owner is not None or is_other else None


def _owner_of_values(before: Person, now: Person, index: "_Index") -> Key | None:
    """Return the account that has the surname and the address of a record: two rows of a view slipped.

    A person with two accounts has a new name and address on one of them before the other.
    """
    values = now.traits.last_name, now.traits.email
    owners = (other for other in index.sharing(now) if (other.traits.last_name, other.traits.email) == values)
    others = (other.key for other in owners if not before.compare(other).likeness.is_strong)
    return next((key for key in others if key != now.key), None)


def _without_numbers(values: Mapping[str, Value]) -> dict[str, Value]:
    # What the record does not have is not evidence that it is the same person.
    return {name: value for name, value in values.items() if name not in {"ULN", "NINO", "DOB"}}


class _Index:
    """People by their marks; if ``only`` is given, by these alone."""

    def __init__(self, people: Iterable[Person], secret: bytes, only: Collection[int] | None = None) -> None:
        self._secret = secret
        self._people: dict[int, list[Person]] = {}
        for person in people:
            for mark in map(_number, person.marks(secret)):
                if only is None or mark in only:
                    self._people.setdefault(mark, []).append(person)

    def __contains__(self, mark: object) -> bool:
        return mark in self._people

    def sharing(self, person: Person) -> Iterator[Person]:
        """Return the people who share a mark with this one, without marks that too many have."""
        for mark in person.marks(self._secret) if self._people else ():
            people = self._people.get(_number(mark), ())
            if len(people) <= COMMON:
                yield from (other for other in people if other.key[:2] == person.key[:2])


def _lookalikes(new: Callable[[], Iterable[Key]], known: Collection[Key]) -> dict[Key, Key]:
    """The new keys that look like a known one, or else like an earlier new one, each with that key.

    Most look like none, so eight bytes are kept of each, and only those that may are compared.
    """
    looks = array("q", (hash(_look(key)) for key in new()))
    if not looks:
        return {}
    looks.extend(hash(_look(key)) for key in known)
    repeated = _Repeated(looks)
    by_look: dict[tuple[int, Role, str], list[Key]] = {}
    for key in new():
        if hash(look := _look(key)) in repeated:
            by_look.setdefault(look, []).append(key)
    alike: dict[Key, Key] = {}
    for key in known if by_look else ():
        for one in by_look.pop(_look(key), ()):
            alike[one] = key
    return alike | {one: first for first, *others in by_look.values() for one in others}


def _look(key: Key) -> tuple[int, Role, str]:
    return key.organisation_id, key.role, skeleton(key.misid)


def _sharing_marks(
    records: Callable[[], Iterable[Record]], stored: _Index, secret: bytes, most: int
) -> tuple[dict[Key, Person], Set[int]]:
    """Return the people of the records that share a mark with another record or account, and what the records share.

    Marks that more than ``most`` records have do not count. There may be a million records, so of all their marks only
    eight bytes each are kept.
    """
    marks = array("Q")
    counts = array("B")
    for record in records():
        before = len(marks)
        marks.extend(_number(mark) for mark in Person.of_record(record, secret).marks(secret))
        counts.append(len(marks) - before)
    repeated = _Repeated(marks)
    times = Counter(mark for mark in marks if mark in repeated)
    shared = {mark for mark, number in times.items() if 1 < number <= most}
    ours = iter(marks)
    sharing: dict[Key, Person] = {}
    for record, number in zip(records(), counts, strict=True):
        # All are taken, because the next record's follow.
        if [mark for mark in islice(ours, number) if mark in shared or mark in stored]:
            sharing[record.key] = Person.of_record(record, secret)
    return sharing, shared


class _Repeated:
    """The numbers that come up more than once, and a few others: so little is kept of each."""

    def __init__(self, numbers: Collection[int]) -> None:
        self._size = max(1024, 16 * len(numbers))
        seen, self._twice = bytearray(self._size // 8 + 1), bytearray(self._size // 8 + 1)
        for number in numbers:
            place, bit = divmod(number % self._size, 8)
            self._twice[place] |= seen[place] & 1 << bit
            seen[place] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        place, bit = divmod(number % self._size, 8)
        return bool(self._twice[place] >> bit & 1)


def _digest(secret: bytes, role: Role, kind: str, *values: str) -> str:
    content = "\0".join((role, kind, *values))
    return blake2b(content.encode("utf-8", "surrogatepass"), key=secret, digest_size=8).hexdigest()


def _number(mark: str) -> int:
    return int(mark, 16)
