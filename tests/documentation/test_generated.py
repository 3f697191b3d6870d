"""The generated parts of the documentation are those of the code that is there."""

import re

import pytest

from syncd.cli.commands import COMMANDS
from syncd.cli.examples import EXAMPLES
from syncd.documentation import FOLDER, read
from syncd.settings import Settings

from .configuration import explained, models
from .generated import PAGES, page_with_generated_part
from .program import every_command, program


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert written == page_with_generated_part(name), "run: python -m tests.documentation"


def test_every_command_has_an_example_that_it_accepts() -> None:
    commands = dict(every_command())
    assert EXAMPLES.keys() == commands.keys()
    for name, example in EXAMPLES.items():
        words = example.removeprefix(f"syncd {name}").split()
        commands[name].make_context(name, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_of_a_command_is_the_first_paragraph_of_its_help(name: str) -> None:
    first_paragraph = program().commands[name].help.strip().split("\n\n")[0]
    assert COMMANDS[name].summary == " ".join(first_paragraph.split())


def test_the_overview_of_the_commands_links_to_each() -> None:
    overview = read("commands").partition("## At a glance")[2].partition("\n## ")[0]
    linked = re.findall(r"\[`syncd ([a-z ]+)`\]\(#syncd-([a-z-]+)\)", overview)
    assert sorted(name for name, _ in linked) == sorted(name for name, _ in every_command())
    assert all(fragment == name.replace(" ", "-") for name, fragment in linked)


def test_every_key_of_the_settings_is_explained() -> None:
    assert models().keys() == Settings.model_fields.keys() == explained().keys()
    for table, model in models().items():
        keys = {key for group, _ in explained()[table] for key in group}
        secrets = {name for name in model.SECRETS if f"{name}_file" in keys}
        assert keys | secrets == model.model_fields.keys(), table
        assert keys <= model.model_fields.keys(), table
