"""What the documentation names is there: pages, files, commands, options, keys, events, metrics and endpoints."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest

from syncd.documentation import FOLDER, INDEX, pages, read
from syncd.web.markdown import render_markdown
from syncd.web.metrics import METRICS
from tests.support.documentation import BEING_WRITTEN, ROOT, TEXTS, blocks, files, spans

from .configuration import models
from .program import every_command, options_of

every_page = pytest.mark.parametrize("name", TEXTS)

_LINK: Final = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
_FILE: Final = re.compile(
    r"(?:(?:syncd|tests|config|migrations|\.ci)/[\w./@-]*|[\w.-]+\.(?:lock|toml|yaml|yml|md)|Dockerfile)"
)
#: Files that are an operator's own, and names that stand for one.
_LEVELS: Final = {"debug", "info", "warning", "error", "log"}
_THEIRS: Final = {"syncd.toml"}


def test_the_index_lists_every_page_and_no_other() -> None:
    assert files() | BEING_WRITTEN == pages().keys()


def test_the_front_page_is_short_and_lists_the_same_pages() -> None:
    assert len(TEXTS["README"].splitlines()) <= 120
    rows = [line for line in TEXTS[INDEX].splitlines() if line.startswith("|")]
    assert [line.replace("](", "](syncd/docs/") for line in rows] == [
        line for line in TEXTS["README"].splitlines() if line in {row.replace("](", "](syncd/docs/") for row in rows}
    ]


@every_page
def test_a_link_leads_to_a_page_and_a_heading_that_are_there(name: str) -> None:
    for target in _LINK.findall(TEXTS[name]):
        path, _, fragment = target.partition("#")
        if "://" in path:
            continue
        page = Path(path).stem or name
        if page not in BEING_WRITTEN:
            assert ((ROOT if name == "README" else FOLDER) / path).exists(), target
        if fragment:
            assert fragment in render_markdown(read(page), "").fragments, target


@every_page
def test_a_page_begins_with_its_title_and_has_no_raw_html(name: str) -> None:
    text = TEXTS[name]
    assert text.startswith("# ")
    assert len(re.findall(r"(?m)^# ", re.sub(r"(?s)```.*?```", "", text))) == 1
    prose = re.sub(r"(?s)```.*?```|`[^`]*`|<!--.*?-->", "", text)
    assert re.findall(r"</?[a-z]+[^>]*>", prose) == []


@every_page
def test_a_file_that_a_page_names_is_there(name: str) -> None:
    named = {span for span in spans(TEXTS[name]) if _FILE.fullmatch(span)} - _THEIRS
    assert {each for each in named if not (ROOT / each).exists()} == set()


def _commands_on(text: str) -> Iterator[str]:
    for span in spans(text):
        if span.startswith("syncd "):
            yield span
    for block in blocks(text, "sh", "text"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.partition("  #")[0].split("&&"):
                if found := re.match(r"\s*(?:\$ |\S*bin/)?(syncd .+)", part):
                    yield found[1]


@every_page
def test_a_command_that_a_page_names_has_these_options(name: str) -> None:
    commands = dict(every_command())
    for said in _commands_on(TEXTS[name]):
        words = said.split()[1:]
        if words[0] in {"--version", "--install-completion", "--config", "COMMAND"}:
            continue
        command = next((each for each in (" ".join(words[:2]), words[0]) if each in commands), "")
        assert command, f"{said!r} is no command"
        options = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)}
        assert options <= options_of(commands[command]), said


@every_page
def test_a_key_that_a_page_names_is_one_of_the_configuration(name: str) -> None:
    tables: Mapping[str, Any] = {table: model.model_fields for table, model in models().items()}
    for span in spans(TEXTS[name]):
        for table, key in re.findall(rf"^({'|'.join(tables)})\.([a-z_]+)\b", span):
            assert key in tables[table] or (ROOT / span).exists(), span
        for table, key in re.findall(r"SYNCD_([A-Z]+)__([A-Z_]+)", span):
            assert (table, key) == ("SECTION", "KEY") or key.lower() in tables[table.lower()], span
        if heads := re.match(r"\[+([a-z]+)\]+(?: ([a-z_]+))?", span):
            assert heads[1] in tables, span
            assert not heads[2] or heads[2] in tables[heads[1]], span
    for block in blocks(TEXTS[name], "toml"):
        for table, content in tomllib.loads(block).items():
            for keys in content if isinstance(content, list) else [content]:
                assert keys.keys() <= tables[table].keys(), table


@cache
def _logged() -> set[str]:
    """Every event that the code logs: the first text that a method of a logger is given, also under another name."""
    found = set()
    for file in (ROOT / "syncd").rglob("*.py"):
        nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
        bound = {
            ast.unparse(node.targets[0]) for node in nodes if isinstance(node, ast.Assign) and _is_of_logger(node.value)
        }
        for node in nodes:
            match node:
                case ast.Call(func=func, args=args) if ast.unparse(func) in bound or any(
                    map(_is_of_logger, [func, *args[:1]])
                ):
                    texts = [each for arg in args for each in ast.walk(arg) if isinstance(each, ast.Constant)]
                    found |= {str(each.value) for each in texts[:2] if re.fullmatch(r"[a-z_]{7,}", str(each.value))}
                case ast.Assign(targets=[ast.Subscript(slice=ast.Constant("event"))], value=ast.Constant(event)):
                    found.add(str(event))
    return found


def _is_of_logger(function: ast.expr) -> bool:
    """Whether it is a method such as ``log.info``, or one of several that are chosen between."""
    return any(
        isinstance(each, ast.Attribute) and each.attr in _LEVELS and "log" in ast.unparse(each.value)
        for each in ast.walk(function)
    )


def test_the_page_on_logging_has_every_event_and_no_other() -> None:
    documented = set(re.findall(r"(?m)^\| `([a-z_]+)` \|", TEXTS["logging"]))
    assert documented == _logged()


@every_page
def test_an_event_that_a_page_names_is_logged(name: str) -> None:
    likely = re.compile(
        r"(?:run|plan|change|record|onefile|daemon|notification|configuration|poll|store|lead)_[a-z]+ed"
    )
    assert {span for span in spans(TEXTS[name]) if likely.fullmatch(span)} <= _logged()


@every_page
def test_a_metric_that_a_page_names_is_exported(name: str) -> None:
    named = set(
        re.findall(r"\bsyncd_[a-z_]+\b", " ".join(chain(spans(TEXTS[name]), blocks(TEXTS[name], "sh", "text"))))
    )
    assert named <= METRICS.keys()
