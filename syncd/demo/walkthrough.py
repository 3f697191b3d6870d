"""The steps of the demo: a college's first run, a week of changes, a second run, what OneFile received, and an undo."""

import json
import os
from pathlib import Path
from string import Template
from typing import Any, Final

from syncd.demo import sample_college
from syncd.demo.narrator import LOG, Ending, Growth, Narrator
from syncd.demo.sample_college import SampleCollege
from syncd.demo.simulator_process import OneFile, simulated_onefile
from syncd.errors import StoryBroken

_SHIPPED: Final = Path(__file__).parent / "folder"
#: The number of the run that sends the week's changes.
_WEEKLY_RUN: Final = 3


def run_demo(folder: Path, *, keychain: bool) -> None:
    """Run the demo on standard output, in a folder that it creates; takes about half a minute.

    With ``keychain`` the simulated OneFile has Keychain creation switched on. Only the folder remains afterwards.
    Raises `StoryBroken` if the folder is not empty, and if a step does not end as expected.
    """
    college = SampleCollege()
    seed = _make(folder, college)
    # The demo ignores the settings of the operator's own syncd.
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("SYNCD_")}
    # The simulator is on this machine, which a proxy cannot reach.
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with simulated_onefile(seed, environment, keychain=keychain) as onefile:
        _configure(folder, onefile)
        teller = Narrator(folder, {**environment, "SYNCD_ONEFILE__CUSTOMER_TOKEN": onefile.customer_token})
        college.create_database(folder / "mis.db")
        _Story(folder, college, onefile, teller).tell()


def _make(folder: Path, college: SampleCollege) -> Path:
    """Create the folder with the seed of OneFile in it; return the seed file."""
    seed = folder / "onefile.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoryBroken(
                f"The folder {folder} is there already and not empty, and the demo overwrites nothing. "
                "Delete it, or name another with --folder."
            )
        seed.write_text(json.dumps(college.onefile_at_the_start(), ensure_ascii=False, indent=2), encoding="utf-8")
    except OSError as problem:
        raise StoryBroken(
            f"The folder {folder} cannot be used for the demo: {problem.strerror}. Name another with --folder."
        ) from None
    return seed


def _configure(folder: Path, onefile: OneFile) -> None:
    for file in _SHIPPED.iterdir():
        text = Template(file.read_text(encoding="utf-8"))
        filled = text.substitute(base_url=onefile.base_url, organisation_id=sample_college.ORGANISATION_ID)
        (folder / file.name).write_text(filled, encoding="utf-8")


class _Story:
    """The steps in their order; they share one college, one OneFile and one narrator."""

    def __init__(self, folder: Path, college: SampleCollege, onefile: OneFile, teller: Narrator) -> None:
        self.folder = folder
        self.college = college
        self.onefile = onefile
        self.teller = teller
        self.say, self.show, self.run = teller.say, teller.show, teller.run

    def tell(self) -> None:
        self.the_college()
        self.a_plan()
        self.the_first_run_waits()
        self.the_first_run_is_approved()
        before = len(self.onefile.calls)
        self.a_week_passes()
        after = len(self.onefile.calls)
        self.nothing_to_do()
        self.what_onefile_was_told(before, after)
        self.a_change_is_taken_back()
        self.your_turn()

    def the_college(self) -> None:
        self.teller.chapter("A college and its OneFile")
        self.say(
            f"Ashby Vale College, which is made up, has {sample_college.LEARNERS} learners in its MIS (the database "
            "mis.db) and wants each of them to have an account in OneFile, which is simulated: nothing leaves this "
            "machine. "
            f"The commands below are the real ones, run for you in the folder {self.folder}."
        )
        self.say(
            "syncd needs two files. syncd.toml says where the MIS and OneFile are. learners.sql is one SELECT that "
            "returns a row for each learner, with every column named after a OneFile field."
        )

    def a_plan(self) -> None:
        self.teller.chapter("What would syncd do?")
        self.say(
            "A plan reads the MIS, compares it with the values OneFile last accepted, and changes nothing. It names "
            "people by their MISID, the MIS's own number for them, and shows field names but no values."
        )
        self.run("plan")

    def the_first_run_waits(self) -> None:
        self.teller.chapter("The first run")
        self.say(
            "The first run that creates accounts always waits for you, and so does every run that would change too "
            "much, alone or with the runs of a day or a week: a broken query can never flood OneFile or empty it. "
            "Such a run stops before its first change."
        )
        self.run("sync", ends_with=Ending.WAITS)

    def the_first_run_is_approved(self) -> None:
        self.say(
            "You have read the plan and agree with it. Your approval covers exactly the changes that were planned, or "
            "a part of them ('syncd approve --only updates')."
        )
        self.run("approve")
        self.say("OneFile allows 300 calls a minute. syncd stays below that, so the next run takes about 15 seconds.")
        now = self.onefile.number_of_users
        growth = Growth("Accounts in OneFile", lambda: self.onefile.number_of_users - now, sample_college.SENDABLE)
        self.run("sync", ends_with=Ending.SOME_HELD, growth=growth)
        self.say(
            "No record disappears silently. A record that cannot be sent is held, and its reason is stored until the "
            "record is corrected. An invalid optional value, like the ULN and the date of birth in the plan, is left "
            "out and the rest of its record is sent ('syncd held --warnings' lists those)."
        )
        self.run("held")

    def a_week_passes(self) -> None:
        self.teller.chapter("A week later")
        self.say("In the meantime the MIS has changed, and a class was added in OneFile:")
        self.college.let_a_week_pass()
        self.onefile.take_in(self.college.onefile_a_week_later())
        self.show(
            [
                (sample_college.MARRIED, "has married and has a new surname"),
                (sample_college.NEW_PHONE, "has a new mobile number"),
                (sample_college.LEFT, "has left the college"),
                (sample_college.JOINED, "has joined it"),
                (sample_college.NO_EMAIL, "was held because the e-mail address was missing, and now has one"),
                (sample_college.NEW_COURSE, "was held because OneFile did not have the class, and now it does"),
                (sample_college.LOST_EMAIL, "has an account, but the e-mail address has been blanked in the MIS"),
            ]
        )
        self.run("plan")
        self.say("These few changes need no approval:")
        self.run("sync", ends_with=Ending.SOME_HELD)

    def nothing_to_do(self) -> None:
        self.say("Once more. Nothing has changed since, so OneFile is not called at all:")
        self.run("sync", ends_with=Ending.SOME_HELD)

    def what_onefile_was_told(self, before: int, after: int) -> None:
        self.teller.chapter("What OneFile received")
        calls = self.onefile.calls
        learners = self.onefile.learners
        misids = {user["ID"]: user["MISID"] for user in learners}
        self.say("This is from the simulated OneFile, not from syncd. These changes reached it in the week's run:")
        self.show(_told(calls[before:after], misids), ("who", "change", "fields"))
        self.say(
            f"The run after that made {_number(len(calls) - after, 'call')}. OneFile now has {len(learners)} learners, "
            f"and {_twice(list(misids.values()))}."
        )
        self.say(
            f"{sample_college.LEFT} has left and keeps the account: leavers are reported, and archived only if "
            f"syncd.toml says so. {sample_college.LOST_EMAIL} keeps an unchanged account and is held, because OneFile "
            "requires an e-mail address. syncd never deletes anything."
        )
        if emails := sum(user["Emails"] for user in learners):
            self.say(f"Keychain creation is on in this OneFile, so it has sent {emails} e-mails, one to each learner.")

    def a_change_is_taken_back(self) -> None:
        self.teller.chapter("Taking a change back")
        self.say(
            f"Suppose that the new mobile number of {sample_college.NEW_PHONE} is wrong. The plan of every run is "
            "stored with the values before it, so what a run has sent can be taken back, all of it or that of some "
            "people:"
        )
        self.run("undo", str(_WEEKLY_RUN), "--misid", sample_college.NEW_PHONE)
        self.say(
            "The MIS still has the new number, so from now on the record is held as 'rejected', and no run sends it "
            "again by itself. The number was right after all? Then let the next run send it:"
        )
        self.run("sync", ends_with=Ending.SOME_HELD)
        self.run("retry", sample_college.NEW_PHONE)
        self.run("sync", ends_with=Ending.SOME_HELD)

    def your_turn(self) -> None:
        self.teller.chapter("Your turn")
        self.say("The simulated OneFile has stopped. Look around in the folder; these commands need no OneFile:")
        self.show(
            [
                (f"cd {self.folder}", ""),
                ("syncd status", "last run, accounts, held records"),
                ("syncd held", "the held records, and why"),
                (f"syncd plan {_WEEKLY_RUN}", "what the week's run was to do, as it is stored"),
                (f"syncd history {sample_college.MARRIED}", "every change sent for one person"),
                ("syncd accounts", "which MISID is which OneFile UserID"),
            ]
        )
        self.say(
            f"{LOG} has what the commands logged, one line per event: MISIDs and field names, but no names, addresses "
            "or numbers of people. When you are done, delete the folder."
        )
        self.say("'syncd init' writes a configuration for your own college.")


def _told(calls: list[dict[str, Any]], misids: dict[int, str]) -> list[tuple[str, str, str]]:
    """Return who was created or updated with which fields, equal changes in one row."""
    alike: dict[tuple[str, str], list[str]] = {}
    for call in calls:
        if call["is_write"]:
            user_id = call["path"].removeprefix("/User").strip("/")
            who, what = (misids[int(user_id)], "update") if user_id else (call["body"]["MISID"], "create")
            alike.setdefault((what, ", ".join(sorted(call["body"]))), []).append(who)
    return sorted((", ".join(sorted(who)), what, fields) for (what, fields), who in alike.items())


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _twice(misids: list[str]) -> str:
    twice = sorted({misid for misid in misids if misids.count(misid) > 1})
    if twice:
        raise StoryBroken(f"OneFile has more than one account for {', '.join(twice)}; please report this.")
    return "no MISID twice"
