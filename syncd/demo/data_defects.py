"""The size of a made-up college, and the defects in its MIS."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Size:
    """The number of records of each kind. Every centre needs at least a placement, an open class and an assessor."""

    centres: int = 3
    placements: int = 40
    """One of each centre's is the default placement."""
    classes: int = 60
    staff: int = 80
    employers: int = 120
    observers: int = 6
    learners: int = 2500


@dataclass(frozen=True, slots=True)
class Dirt:
    """Real and apparent defects in an MIS, by the codes of the people concerned.

    Held people are not used as tutor, employer or IQA, so that no other record is held because of them.
    """

    without_email: frozenset[str] = frozenset()
    """Learners, staff, employers: held."""
    entered_twice: frozenset[str] = frozenset()
    """Learners with two enrolments, and staff and employers with two rows: held."""
    unknown_tutor: frozenset[str] = frozenset()
    """Learners whose tutor's code does not exist: held."""
    wrong_uln: frozenset[str] = frozenset()
    """Learners whose ULN has a wrong check digit: a warning."""
    no_date: frozenset[str] = frozenset()
    """Learners whose date of birth is not a real date: a warning."""
    without_site: frozenset[str] = frozenset()
    """Learners who get the default placement."""
    shared_email: Mapping[str, str] = field(default_factory=dict)
    """Learners and employers with another's e-mail address, and that other: correctly two accounts."""
    two_roles: frozenset[str] = frozenset()
    """Staff who assess and quality-assure: correctly two accounts with one MISID."""

    @property
    def held(self) -> frozenset[str]:
        """The people whose records cannot be sent."""
        return self.without_email | self.entered_twice | self.unknown_tutor

    @property
    def warned(self) -> frozenset[str]:
        """The people whose records can be sent without one value."""
        return self.wrong_uln | self.no_date

    @classmethod
    def usual(cls, seed: int, size: Size) -> "Dirt":
        """Return a usual number of defects: no person has two kinds, and a small college has none."""
        chance = random.Random(seed)  # noqa: S311 - made-up data, not a secret
        learners = _Deck(chance, [learner_code(number) for number in range(size.learners)])
        staff = _Deck(chance, [staff_code(number) for number in range(size.staff)])
        employers = _Deck(chance, [employer_code(number) for number in range(size.employers)])
        return cls(
            without_email=learners.one_in(250) | staff.one_in(40) | employers.one_in(40),
            entered_twice=learners.one_in(500) | staff.one_in(80) | employers.one_in(60),
            unknown_tutor=learners.one_in(300),
            wrong_uln=learners.one_in(200),
            no_date=learners.one_in(250),
            without_site=learners.one_in(20),
            shared_email={**learners.pairs_one_in(300), **employers.pairs_one_in(30)},
            two_roles=staff.one_in(16),
        )


class _Deck:
    """Codes in random order; each is drawn once."""

    def __init__(self, chance: random.Random, codes: list[str]) -> None:
        self._size = len(codes)
        self._left = chance.sample(codes, len(codes))

    def one_in(self, many: int) -> frozenset[str]:
        return frozenset(self._left.pop() for _ in range(self._size // many))

    def pairs_one_in(self, many: int) -> dict[str, str]:
        # The person with the lower code is generated first, and has an address to share.
        pairs = (sorted((self._left.pop(), self._left.pop())) for _ in range(self._size // many))
        return {later: earlier for earlier, later in pairs}


def learner_code(number: int) -> str:
    """Return the MISID of a learner, numbered from 0."""
    return f"L{1001 + number}"


def staff_code(number: int) -> str:
    """Return the MISID of a member of staff, numbered from 0."""
    return f"S{1001 + number}"


def employer_code(number: int) -> str:
    """Return the MISID of an employer contact, numbered from 0."""
    return f"E{1001 + number}"
