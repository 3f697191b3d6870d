"""'syncd help' has every reason and every kind of error, in the words that everything else says them in."""

import pkgutil
import re
from importlib import import_module
from typing import get_type_hints

import pytest

import syncd as package
from syncd import cli
from syncd.cli.commands import COMMANDS
from syncd.cli.examples import EXAMPLES
from syncd.cli.help import entries
from syncd.core.records import Reason
from syncd.documentation import pages
from syncd.errors import SyncdError
from syncd.sync.reasons import HELD, LEFT_OUT, describe
from tests.support.documentation import BEING_WRITTEN

from .conftest import Syncd, terminal

#: The commands that may meet another run, and what their modules import for that.
_UNDER_THE_LOCK = ("link", "rekey", "release", "restore", "sync", "undo", "unlink", "verify")
_TAKES_IT = {"at_work", "run_plan", "locked_organisation"}


def _kinds(error: type[SyncdError]) -> set[type[SyncdError]]:
    below = error.__subclasses__()
    # One that has kinds below it need not have a name: then it is never raised itself.
    own = {error} if not below or "title" in vars(error) else set()
    return own.union(*map(_kinds, below))


def test_every_reason_and_every_error_in_the_code_has_its_entry(syncd: Syncd) -> None:
    for module in pkgutil.walk_packages(package.__path__, "syncd."):
        if "migrations" not in module.name and module.name != "syncd.__main__":
            import_module(module.name)
    kinds = _kinds(SyncdError)
    assert {kind.__module__ for kind in kinds} == {"syncd.errors"}, "an error that is defined elsewhere may be missed"
    assert HELD.keys() | LEFT_OUT.keys() == {*Reason}

    told = syncd("help")

    assert told.exit == 0
    lines = told.stdout.splitlines()
    for name, meaning, remedy in (
        *((describe(reason), said.meaning, said.remedy) for each in (HELD, LEFT_OUT) for reason, said in each.items()),
        *((kind.title, kind.meaning, kind.remedy) for kind in kinds),
    ):
        ats = [at for at, line in enumerate(lines) if line.startswith(f"  {meaning}")]
        assert [lines[at + 1] for at in ats] == [f"  {remedy}"]
        assert name in lines
    assert {entry.name for entry in entries()} == {describe(reason) for reason in Reason} | {k.title for k in kinds}


def test_every_error_says_itself_what_it_means() -> None:
    for kind in _kinds(SyncdError):
        for word in ("title", "meaning", "remedy"):
            assert word in get_type_hints(kind)
            assert getattr(kind, word).strip()


@pytest.mark.parametrize("topic", ["duplicate_key", "Duplicate Key", "duplicate-key", "rekeyed?", "REKEYED"])
def test_a_reason_is_found_however_it_is_written(topic: str, syncd: Syncd) -> None:
    reason = Reason.REKEYED if "k" in topic.lower()[:3] else Reason.DUPLICATE_KEY
    assert HELD[reason].remedy in syncd("help", *topic.split()).stdout


def test_help_on_a_shared_reason_shows_held_left_out_and_error_meanings(syncd: Syncd) -> None:
    told = syncd("help", "refused").stdout
    assert HELD[Reason.REFUSED].meaning in told
    assert LEFT_OUT[Reason.REFUSED].meaning in told
    assert "OneFile refused a call." in told


def test_the_help_of_every_command_ends_with_its_example(syncd: Syncd) -> None:
    for name, example in EXAMPLES.items():
        shown = syncd(*name.split(), "--help")
        assert shown.exit == 0, name
        assert shown.stdout.rstrip().endswith(f"\n Example: {example}"), name


@pytest.mark.parametrize("command", _UNDER_THE_LOCK)
def test_help_of_a_command_that_may_meet_another_run_names_exit_5(command: str, syncd: Syncd) -> None:
    shown = " ".join(syncd(command, "--help").stdout.split())

    assert re.search(r"Exit codes.*[;:] 5 another run is in progress", shown), shown


def test_every_command_that_takes_the_lock_is_listed() -> None:
    taking = {
        module.name
        for module in pkgutil.iter_modules(cli.__path__)
        if not _TAKES_IT.isdisjoint(vars(import_module(f"syncd.cli.{module.name}")))
    }

    assert taking - {"context"} == {*_UNDER_THE_LOCK}


def test_a_command_is_a_topic_too(syncd: Syncd) -> None:
    assert "Usage: syncd db reseal" in syncd("help", "db", "reseal").stdout


@pytest.mark.parametrize(
    ("topic", "meant"),
    [
        ("refusd", "refused"),
        ("reference not fund", "reference not found"),
        ("token", "customer token"),
        ("snyc", "sync"),
        ("gettingstated", "getting-started"),
    ],
)
def test_a_misspelt_topic_gets_the_nearest_one(topic: str, meant: str, syncd: Syncd) -> None:
    wrong = syncd("help", *topic.split())
    assert wrong.exit == 2
    assert f"did you mean '{meant}'?" in wrong.words


@pytest.mark.parametrize("command", ["", *COMMANDS, "db backup", "credentials export", "notify test"])
def test_help_shows_no_python_types(syncd: Syncd, command: str) -> None:
    shown = syncd(*command.split(), "--help").stdout
    assert "Usage: syncd" in shown
    assert re.findall(r"<(?:bool|file|float|int|list|path|str)|list\[|None", shown) == []


def test_every_page_that_is_listed_is_printed(syncd: Syncd) -> None:
    listed = syncd("help").stdout
    assert len(pages()) > 15
    for name, page in pages().items():
        assert re.search(rf"(?m)^  {name} +{re.escape(page.summary)}$", listed)
        if name not in BEING_WRITTEN:
            shown = syncd("help", name)
            assert shown.exit == 0
            assert page.text in shown.stdout


def test_a_page_on_a_terminal_is_laid_out_and_says_how_to_get_to_others(
    syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as lines:
        assert syncd("help", "contributing").exit == 0
    text = " ".join(" ".join(lines).split())
    assert "Architecture ('syncd help architecture') explains the code" in text
    assert "](" not in text
    assert max(map(len, lines)) <= 80


def test_a_page_and_an_error_of_one_name_are_both_shown(syncd: Syncd) -> None:
    shown = syncd("help", "configuration").stdout
    assert "then run 'syncd doctor'" in shown
    assert "# Configuration" in shown
