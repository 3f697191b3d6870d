"""A generated first contact: 2,000 accounts in OneFile, 2,200 people in the MIS, no second account for anybody."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from syncd.core.evidence import Traits, names_fit
from tests.support.command import Exit
from tests.support.people.contact import LEARNERS, FirstContact, Kind, make_first_contact
from tests.support.people.mis import Row
from tests.support.people.site import Site, open_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_FILE: Final = "onefile-links.csv"
#: Without "syncd link", names are all that is compared, and these have others in OneFile than in the MIS.
_WITH_THEIR_NAMES: Final = {**LEARNERS, Kind.MARRIED: 0, Kind.SAME: LEARNERS[Kind.SAME] + LEARNERS[Kind.MARRIED]}


class Contact:
    """A site before first contact, and the truth about it."""

    def __init__(self, site: Site, learners: Mapping[Kind, int]) -> None:
        self.site = site
        self.truth: FirstContact = make_first_contact(site.population, site.mis, learners)
        for user, one in self.truth.sow(site.onefile.world, site.onefile.sow):
            site.accounts.was_there(user, one.owner, one.row)
        self.before = {*site.onefile.world.users}

    @property
    def made(self) -> set[int]:
        """The UserIDs of the accounts that were created."""
        return {*self.site.onefile.world.users} - self.before

    def second_accounts(self) -> Counter[Kind]:
        """How many people had an account and had another one created, by the kind of that they had."""
        had = self.truth.with_account()
        return Counter(kind for row in self.made_for() for kind in had.get(row, ()))

    def made_for(self) -> set[Row]:
        """The rows for which accounts were created."""
        return {row for user_id in self.made if (row := self.site.accounts.row_of(user_id)) is not None}

    def newcomers_asked(self) -> set[Row]:
        """The rows whose person has no account, and about whom the last run has asked for one."""
        held = self.site.held
        return {row for row in self.truth.newcomers if held.get((row.role, row.key)) == "has_an_account?"}

    def strangers(self) -> set[Row]:
        """The rows whose person has no account, and whose names fit no account of the role."""
        there: dict[int, list[Traits]] = {}
        for one in self.truth.sown:
            there.setdefault(one.values["Role"], []).append(Traits.from_fields(one.values))
        newcomers = ((row, Traits.from_fields(row.fields)) for row in self.truth.newcomers)
        return {row for row, who in newcomers if not any(names_fit(who, one) for one in there[row.role.number])}

    def report(self, what: str) -> None:
        """Print what became of the people, by the kind of the account that they had."""
        held = self.site.held
        had = self.truth.with_account()
        reasons = Counter(
            (reason, " and ".join(sorted({kind.name for kind in had.get(row, ())})) or "no account")
            for row in self.site.mis.rows
            if (reason := held.get((row.role, row.key)))
        )
        sys.stdout.write(f"\n{what}: {len(self.made)} created, {len(held)} held\n")
        for (reason, kind), number in sorted(reasons.items()):
            sys.stdout.write(f"  {reason}: {number} ({kind})\n")

    def link(self) -> None:
        """Link the accounts, answering the file with the truth."""
        found = self.site.run("link")
        assert found.exit == Exit.IN_STEP, found.stdout
        self.site.write_csv("answered.csv", self.truth.answer(self.site.read_csv(_FILE)))
        applied = self.site.run("link", "--apply", "answered.csv", "--approve")
        assert applied.exit == Exit.IN_STEP, applied.stdout
        self.site.check()

    def sync_all(self) -> None:
        """A run after linking: it asks about the MISIDs that are on two accounts, and about nothing else."""
        done = self.site.run("sync", "--approve")
        self.report("after link")
        assert done.exit == Exit.SOME_HELD, done.stdout
        twice = {one.row for one in self.truth.sown if one.kind is Kind.RIGHT_TWICE}
        namesakes = {row for row in self.newcomers_asked() if row not in self.strangers()}
        asked = {(row.role, row.key): "has_an_account?" for row in namesakes}
        assert self.site.held == {(row.role, row.key): "ambiguous" for row in twice if row} | asked
        assert self.second_accounts() == Counter()
        assert self.made_for() == {*self.truth.newcomers} - namesakes
        self.site.check()

        for row in twice:
            assert row
            # A person corrects it in OneFile.
            self.site.onefile.world.users[self.truth.accounts_of(row)[1]].values["MISID"] = ""
        for row in namesakes:
            # The account whose names fit is another person's, who has left or has an account that is linked.
            assert self.site.run("retry", row.key).exit == Exit.IN_STEP
        done = self.site.run("sync")
        assert done.exit == Exit.IN_STEP, done.stdout
        self.site.check()
        assert self.site.accounts.without_account({}, self.site.leavers) == {}
        assert self.second_accounts() == Counter()


@pytest.fixture
def contact(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Contact]:
    """2,000 accounts and 2,200 people, who have not met yet."""
    with open_site(tmp_path, seed=1995) as site:
        yield Contact(site, getattr(request, "param", LEARNERS))


def test_link_answered_truthfully_and_a_run_make_no_second_account(contact: Contact) -> None:
    contact.link()
    assert contact.made == set()
    contact.sync_all()


@pytest.mark.parametrize("contact", [pytest.param(_WITH_THEIR_NAMES, id="names fit")], indirect=True)
def test_run_without_link_makes_no_second_account_and_asks(contact: Contact) -> None:
    site = contact.site
    done = site.run("sync", "--approve")
    contact.report("without link")
    assert done.exit == Exit.SOME_HELD, done.stdout
    assert contact.second_accounts() == Counter()
    site.check()
    assert not contact.strangers() & contact.newcomers_asked()

    contact.link()
    contact.sync_all()
