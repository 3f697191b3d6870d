"""Which person an account in OneFile belongs to, and whether people and accounts are still one to one."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.core.fields import ROLE_BY_NUMBER, Role
from syncd.simulator.models import User
from syncd.simulator.world import World

from .mis import Mis, Row
from .person import Person, comparable, identifying


@dataclass(slots=True)
class _Account:
    """What is known of one account."""

    user: User
    row: Row | None = None
    """The row that it was made for; none if it was there before, for no row of the MIS."""
    owner: Person | None = None
    rows: list[Row] = field(default_factory=list)
    """The rows whose values or keys it was sent, each once, in order."""
    held: dict[str, set[str]] = field(default_factory=dict)
    """Every value that it has ever had in a field that says who somebody is."""

    @property
    def role(self) -> Role:
        return ROLE_BY_NUMBER[self.user.role]


@dataclass(frozen=True, slots=True)
class Finding:
    """Accounts that break the promise, and the numbers of the people concerned."""

    what: str
    user_ids: tuple[int, ...]
    people: tuple[int, ...]


class AccountHistory:
    """Watches all that is written to the users of a simulated OneFile, from now on.

    The MIS is the one that its `Mis.publish` last showed to the run that writes.
    """

    def __init__(self, world: World, mis: Mis, people: Collection[Person]) -> None:
        self._mis = mis
        self._people = people
        self._accounts: dict[int, _Account] = {}
        self._were_active: Counter[tuple[Person, Role]] = Counter()
        """How many active accounts somebody had before anything was written."""
        self._standing: defaultdict[Row, list[int]] = defaultdict(list)
        """The accounts that stand, or stood, for each row."""
        self._seconds: list[Finding] = []
        """Rows for which an account was made though another stood for them, whatever became of that one since."""
        world.create_user = self._watched(world.create_user, makes=True)  # type: ignore[method-assign]
        world.update_user = self._watched(world.update_user, makes=False)  # type: ignore[method-assign]

    def was_there(self, user: User, owner: Person | None, row: Row | None = None) -> None:
        """Note whose an account is that was in OneFile from the start, and the row that it stands for, if any."""
        account = _Account(user, row, owner)
        _remember(account.held, user.values)
        self._accounts[user.id] = account
        if row is not None:
            self._standing[row].append(user.id)
        if owner is not None and not user.is_archived:
            self._were_active[owner, account.role] += 1

    def row_of(self, user_id: int) -> Row | None:
        """The row of the MIS that an account stands for: the last that it was sent, or the one it was there for."""
        account = self._accounts[user_id]
        return account.rows[-1] if account.rows else account.row

    def person_of(self, user_id: int) -> Person | None:
        """Whose an account is, by how it came to be, or else by what it contains; none if that could be several."""
        account = self._accounts[user_id]
        if account.owner is not None:
            return account.owner
        if account.rows:
            return account.rows[0].person
        found = self.people_like(user_id)
        return found.pop() if len(found) == 1 else None

    def people_like(self, user_id: int) -> set[Person]:
        """Those who have or had every value that the account has or had."""
        return self._like(self._accounts[user_id], _Owners(self._people))

    def accounts_of(self, person: Person, role: Role) -> list[User]:
        """Somebody's accounts in a role, archived ones included."""
        return [
            account.user
            for user_id, account in self._accounts.items()
            if account.role is role and self.person_of(user_id) is person
        ]

    # The promise about people

    def check(self, leavers: Collection[int] = ()) -> None:
        """Fail unless no person has two accounts and no account has two people's data.

        ``leavers`` are the UserIDs of accounts that syncd knows as leavers' and does not archive.
        """
        found = [*self.second_accounts(leavers), *self.mixed_accounts()]
        assert not found, "\n".join(map(str, found[:20]))

    def second_accounts(self, leavers: Collection[int] = ()) -> Iterator[Finding]:
        """People with more active accounts of a role than they may have, and rows that have two accounts.

        A person may have as many as the MIS has rows of them now, or as many as there were in OneFile from the start.
        """
        active: defaultdict[tuple[Person, Role], list[int]] = defaultdict(list)
        for user_id, account in self._accounts.items():
            person = self.person_of(user_id)
            if person is not None and not account.user.is_archived and user_id not in leavers:
                active[person, account.role].append(user_id)
        rows = Counter((row.person, row.role) for row in self._mis.rows)
        for whose, user_ids in active.items():
            if len(user_ids) > max(1, rows[whose], self._were_active[whose]):
                yield Finding(f"active accounts of one {whose[1]}", tuple(user_ids), (whose[0].number,))
        yield from self._seconds

    def mixed_accounts(self) -> Iterator[Finding]:
        """Accounts that have, or had, what belongs to two people."""
        owners = _Owners(self._people)
        for user_id, account in self._accounts.items():
            sources = {row.person for row in account.rows} | ({account.owner} if account.owner else set())
            if len(sources) > 1:
                numbers = sorted(person.number for person in sources)
                yield Finding("account that was sent two people's rows", (user_id,), tuple(numbers))
            elif not sources <= (like := self._like(account, owners)) or not like:
                numbers = sorted(person.number for person in sources)
                yield Finding("account with values that are not its person's", (user_id,), tuple(numbers))

    def without_account(self, held: Mapping[tuple[Role, str], str], leavers: Collection[int] = ()) -> dict[Row, str]:
        """The rows of the MIS whose person has no active account in that role, each with the reason it is held for.

        ``held`` are the reasons by role and MISID; a row that is not held has an empty one.
        """
        having = {
            (self.person_of(user_id), account.role)
            for user_id, account in self._accounts.items()
            if not account.user.is_archived and user_id not in leavers
        }
        return {
            row: held.get((row.role, row.key), "") for row in self._mis.rows if (row.person, row.role) not in having
        }

    @staticmethod
    def _like(account: _Account, owners: "_Owners") -> set[Person]:
        found: set[Person] | None = None
        for name, values in account.held.items():
            for value in values:
                having = owners.of(name, value)
                found = having if found is None else found & having
        return set(found or ())

    def _watched(self, act: Callable[..., User], *, makes: bool) -> Callable[..., User]:
        def watched(*arguments: Any) -> User:
            user = act(*arguments)
            account = self._accounts.setdefault(user.id, _Account(user))
            _remember(account.held, user.values)
            row = self._mis.row_of(account.role, user.misid or "")
            if row is not None and row not in account.rows:
                if makes and self._standing[row]:
                    self._seconds.append(
                        Finding("second account of one row", (*self._standing[row], user.id), (row.person.number,))
                    )
                account.rows.append(row)
                self._standing[row].append(user.id)
            return user

        return watched


class _Owners:
    """Who has or had a value, of all people."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._by_value: defaultdict[tuple[str, str], set[Person]] = defaultdict(set)
        for person in people:
            for name, values in person.ever.items():
                for value in values:
                    self._by_value[name, value].add(person)

    def of(self, name: str, value: str) -> set[Person]:
        """Those who have or had this value, as `comparable` makes it."""
        return self._by_value.get((name, value), set())


def _remember(held: dict[str, set[str]], values: Mapping[str, Any]) -> None:
    for name, value in identifying(values).items():
        held.setdefault(name, set()).add(comparable(name, value))
