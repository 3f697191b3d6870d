"""The conversation of ``init``: what is asked, what is proposed, and what is taken where nobody answers."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import typer
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from syncd.cli.common import print_table
from syncd.cli.configuring import FeedEntry
from syncd.cli.recipes import Recipe
from syncd.core.fields import FIELDS, Role, columns_of
from syncd.core.proposing import (
    Feed,
    NotJoined,
    Supplied,
    Table,
    field_of,
    learners_tables,
    promising,
    propose,
    with_employers,
)
from syncd.core.queries import select_of
from syncd.errors import ConfigurationError, SyncdError
from syncd.mis import Mis
from syncd.mis.inspecting import Inspected
from syncd.onefile import OneFile
from syncd.settings import DefaultsSettings, Environment
from syncd.wiring.beginning import open_onefile

#: How long a table of the MIS may take to give a few rows.
_PATIENCE_SECONDS: Final = 20
#: How many tables are looked into at most.
_MOST_TABLES: Final = 60
_MOST_SHOWN: Final = 20

_URL, _TOKEN = "SYNCD_SOURCE__URL", "SYNCD_ONEFILE__CUSTOMER_TOKEN"
_KINDS: Final = {Role.PLACEMENT: "placements", Role.CLASSROOM: "classrooms"}
_DEFAULTED: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}
#: What the placement of whoever has no other is often called.
_NO_OTHER: Final = (
    "default",
    "no placement",
    "no employer",
    "in-house",
    "at college",
    "not placed",
    "unplaced",
    "none",
)


@dataclass(frozen=True, slots=True)
class Given:
    """What was said on the command line; ``None`` for what was not."""

    database: str | None = None
    database_file: Path | None = None
    schema: str = ""
    learners: str | None = None
    columns: Sequence[str] | None = None
    where: str | None = None
    feeds: str | None = None
    environment: Environment | None = None
    base_url: str = ""
    organisation: int | None = None
    customer_token_file: Path | None = None
    defaults: Sequence[str] = ()

    @property
    def has_database(self) -> bool:
        """Whether a database was named, there or in the environment."""
        return bool(self.database or self.database_file or os.environ.get(_URL) or os.environ.get(f"{_URL}_FILE"))


@dataclass(slots=True)
class Settled:
    """What is to be written, and what is left to do."""

    values: dict[tuple[str, str], str | int] = field(default_factory=dict)
    feeds: list[FeedEntry] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Asking:
    """Questions to whoever sits at the terminal; where nobody does, what is proposed is the answer."""

    def __init__(self, *, is_answered: bool) -> None:
        self.is_answered: Final = is_answered

    def text(self, question: str, proposed: str = "") -> str:
        """A line, or what is proposed."""
        if not self.is_answered:
            return proposed
        answer: str = typer.prompt(question, default=proposed, show_default=bool(proposed))
        return answer.strip()

    def hidden(self, question: str) -> str:
        """A line that is not shown while it is typed."""
        answer: str = typer.prompt(question, default="", hide_input=True, show_default=False)
        return answer

    def one_of(self, question: str, choices: Sequence[str], proposed: str) -> str:
        """One of these, in any letter case; asked again until it is."""
        while True:
            answer = self.text(question, proposed)
            found = [choice for choice in choices if choice.lower() == answer.lower()]
            if found or not self.is_answered:
                return found[0] if found else proposed
            near = get_close_matches(answer, choices, n=1)
            typer.echo(f"There is no {answer!r}{f'; did you mean {near[0]!r}?' if near else '.'}")


def settle(given: Given, asking: Asking, folder: Path, recipe: Recipe | None) -> Settled:
    """Ask, look and propose until all is settled. Raises `SyncdError`."""
    settled = Settled()
    learners: Feed | None = None
    if recipe:
        _take_recipe(recipe, given, settled, folder)
    elif (given.has_database or asking.is_answered) and (mis := _database(given, asking, settled, folder)):
        typer.echo(f"\nThe MIS at {mis} answers. Nothing is changed in it, and no value of anybody is shown.")
        learners = _mapping(mis, given, asking, settled)
    with ExitStack() as stack:
        onefile, organisation_id = _onefile(given, asking, settled, stack)
        _defaults(given, asking, settled, learners, onefile, organisation_id)
    return settled


def _take_recipe(recipe: Recipe, given: Given, settled: Settled, folder: Path) -> None:
    settled.values["source", "url"] = recipe.url
    if given.has_database:
        _source(given, given.database or "", settled, folder)
    settled.feeds = list(recipe.feeds)
    settled.files = dict(recipe.files)
    settled.left += [what for what in recipe.left if not (given.has_database and "source.url" in what)]


def _database(given: Given, asking: Asking, settled: Settled, folder: Path) -> Mis | None:
    """The MIS, once it answers; nothing where somebody has none yet."""
    said = given.database or ""
    if not given.has_database:
        said = asking.text(
            "Your MIS: a database URL such as postgresql+psycopg://reader@host/mis, or a SQLite file "
            "(Enter for an example to fill in)"
        )
        if not said:
            return None
    url = _source(given, said, settled, folder)
    mis = Mis(url, _PATIENCE_SECONDS)
    try:
        with mis.connect():
            return mis
    except SyncdError as problem:
        if not asking.is_answered or make_url(url).password or not make_url(url).username:
            raise
        typer.echo(str(problem))
    password = asking.hidden(f"Its password for {make_url(url).username} (not shown, and not written down)")
    mis = Mis(make_url(url).set(password=password).render_as_string(hide_password=False), _PATIENCE_SECONDS)
    with mis.connect():
        settled.left.append(f"Give syncd the URL with its password: set {_URL}, or source.url_file.")
        return mis


def _source(given: Given, said: str, settled: Settled, folder: Path) -> str:
    """The URL to connect with; what is written down of it has no password. Raises `ConfigurationError`."""
    variable, file = os.environ.get(_URL, ""), given.database_file or os.environ.get(f"{_URL}_FILE", "")
    is_secret = not said
    if not said and file:
        try:
            said = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(f"{file}, which is to hold the URL of the MIS, cannot be read.") from None
        settled.values["source", "url_file"] = str(Path(file).absolute())
    said = said or variable
    try:
        url = make_url(said if "://" in said else f"sqlite:///{said}")
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "The database is not given as a URL such as postgresql+psycopg://user@host/database, or as a SQLite file."
        ) from None
    if url.password and not is_secret:
        raise ConfigurationError(
            "A password on the command line can be seen by others. Give the URL without it, and the whole of it in "
            f"{_URL} or --database-file."
        )
    if url.drivername.startswith("sqlite") and url.database:
        place = Path(url.database).absolute()
        inside = place.relative_to(folder.absolute()) if place.is_relative_to(folder.absolute()) else place
        settled.values["source", "url"] = f"sqlite:///{inside.as_posix()}"
        url = url.set(database=str(place))
    elif ("source", "url_file") not in settled.values:
        # Options may be secrets too.
        options = {} if is_secret else url.query
        shown = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, options)
        settled.values["source", "url"] = shown.render_as_string()
    if ("source", "url_file") in settled.values:
        settled.values.pop(("source", "url"), None)
    if url.password and ("source", "url_file") not in settled.values:
        settled.left.append(f"{_URL} holds the URL with its password: see that syncd has it whenever it runs.")
    return url.render_as_string(hide_password=False)


def _mapping(mis: Mis, given: Given, asking: Asking, settled: Settled) -> Feed:
    inspected = Inspected(mis, given.schema)
    looked = {one.name: inspected.looked_at(one) for one in promising(inspected.tables)[:_MOST_TABLES]}
    tables = [looked.get(one.name, one) for one in inspected.tables]
    base = _learners_table(tables, given, asking)
    feeds = _proposed(tables, base, given, asking)
    where = given.where
    if where is None:
        where = asking.text(
            f"Which of them? A condition in SQL, such as {inspected.dialect.alias(base.name)}.… = 'current' "
            "(Enter for everybody)"
        )
    _print_others(feeds[1:])
    on = _feeds_on(feeds, given, asking)
    if "employers" in on:
        feeds = (with_employers(feeds[0]), *feeds[1:])
    by_name = {one.name: one for one in tables}
    for feed in feeds:
        condition = where if feed is feeds[0] else ""
        entry = FeedEntry(feed.name, _KINDS.get(feed.role, "users"), feed.role, feed.name in on)
        settled.feeds.append(entry)
        settled.files[entry.file] = select_of(feed, by_name, inspected.dialect, condition).encode()
    # What the learners name is there before them.
    settled.feeds.sort(key=lambda one: one.name == "learners")
    return feeds[0]


def _learners_table(tables: Sequence[Table], given: Given, asking: Asking) -> Table:
    names = [one.name for one in tables]
    likely = learners_tables(tables)
    if given.learners:
        found = next((one for one in tables if one.name.lower() == given.learners.lower()), None)
        if found is None:
            near = get_close_matches(given.learners, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:_MOST_SHOWN]) or 'none'}."
            raise ConfigurationError(f"There is no table or view {given.learners}; {hint}")
        return found
    if not likely and not asking.is_answered:
        raise ConfigurationError(
            f"Of {_counted(len(names))} none looks as if it held learners. Name it with --learners, or another "
            "schema than the login's own with --schema."
        )
    also = [one.name for one in likely[1:4]]
    typer.echo(f"It has {_counted(len(names))}." + (f" Others that hold people: {', '.join(also)}." if also else ""))
    name = asking.one_of("Which table or view holds the learners?", names, likely[0].name if likely else "")
    return next(one for one in tables if one.name == name)


def _counted(tables: int) -> str:
    return "one table" if tables == 1 else f"{tables} tables and views"


def _proposed(tables: Sequence[Table], base: Table, given: Given, asking: Asking) -> tuple[Feed, ...]:
    """The feeds, once somebody is content with the learners'."""
    chosen = dict(_choice(said, base) for said in given.columns or ())
    while True:
        try:
            feeds = propose(tables, base, chosen)
        except NotJoined as problem:
            raise ConfigurationError(f"--column: {problem}.") from None
        _print_mapping(feeds[0])
        if given.columns is not None or not asking.is_answered:
            return feeds
        feeds = _corrected(tables, base, chosen, asking)
        if not feeds:
            return propose(tables, base, chosen)


def _corrected(
    tables: Sequence[Table], base: Table, chosen: dict[str, tuple[str, str] | None], asking: Asking
) -> tuple[Feed, ...]:
    """Take one correction, until it is one; nothing once there is none."""
    while said := asking.text(
        "Put a line right, as Email=table.column, or Email= to leave it out (Enter: all is right)"
    ):
        try:
            name, source = _choice(said, base)
            feeds = propose(tables, base, {**chosen, name: source})
        except (ConfigurationError, NotJoined) as problem:
            typer.echo(f"{str(problem).removesuffix('.')}.")
            continue
        chosen[name] = source
        return feeds
    return ()


def _choice(said: str, base: Table) -> tuple[str, tuple[str, str] | None]:
    """``FIELD=table.column``, ``FIELD=column`` of the learners' table, or ``FIELD=``. Raises `ConfigurationError`."""
    spellings = columns_of(Role.LEARNER)
    name, equals, source = (part.strip() for part in said.partition("="))
    field_name = spellings.get(name.lower())
    if not equals or field_name is None:
        near = get_close_matches(name.lower(), spellings, n=1)
        hint = f"did you mean {spellings[near[0]]}?" if near else f"there are {', '.join(spellings.values())}."
        raise ConfigurationError(f"{name!r} is not a column that a learners' feed has; {hint}")
    if not source:
        return field_name, None
    if base.column(source):
        return field_name, (base.name, source)
    table, _, column = source.rpartition(".")
    return field_name, (table or base.name, column)


def _print_mapping(learners: Feed) -> None:
    typer.echo(f"\nLearners, from {learners.table}:\n")
    rows = [
        (_with_meaning(one.name), _columns_of(one, learners.table), f"left out: {one.off}" if one.off else one.reason)
        for one in learners.supplied
    ]
    rows += [(name, "STILL MISSING", "it is mandatory") for name in learners.missing]
    print_table(("OneFile", "from", "because of"), rows, "")
    for join in learners.joins:
        which = ", of several rows the last" if join.newest_by else ""
        typer.echo(f"  {join.table} {join.reason}{which}.")
    typer.echo()


def _with_meaning(name: str) -> str:
    """The name of a feed's column, and what it means if that cannot be told from it."""
    meaning = FIELDS[name].source.partition(": ")[2] if FIELDS.get(name, FIELDS["MISID"]).special else ""
    return f"{name} ({meaning})" if meaning else name


def _columns_of(one: Supplied, base: str) -> str:
    """The columns that it comes from, with their table where that is not the learners' own."""
    return ", ".join(column.name for column in one.columns) if one.table == base else str(one)


def _print_others(others: Sequence[Feed]) -> None:
    for feed in others:
        typer.echo(f"It has {feed.name} too, in {feed.table}.")


def _feeds_on(feeds: Sequence[Feed], given: Given, asking: Asking) -> set[str]:
    names = [feed.name for feed in feeds]
    said = given.feeds
    if said is None:
        said = "learners"
        if len(feeds) > 1:
            typer.echo(
                "Whom syncd makes accounts for, and which places it makes, is for you to say: learners can name what\n"
                "OneFile has already. Each has a query; those you do not name are switched off in syncd.toml."
            )
            said = asking.text(f"Which feeds are to be on, of {', '.join(names)}, or all?", "learners")
    on = set(names) if said.strip() == "all" else {each.strip() for each in said.split(",")} | {"learners"}
    if unknown := on - set(names):
        raise ConfigurationError(
            f"There is no feed {', '.join(sorted(unknown))} to switch on; there are {', '.join(names)}."
        )
    return on


def _onefile(given: Given, asking: Asking, settled: Settled, stack: ExitStack) -> tuple[OneFile | None, int | None]:
    """OneFile, if there is a token to ask it with, and the organisation."""
    environment = given.environment
    if given.base_url:
        settled.values["onefile", "base_url"] = given.base_url
    elif environment or asking.is_answered:
        typer.echo()
        names = [str(each) for each in Environment]
        environment = environment or Environment(
            asking.one_of(f"Which OneFile: {', '.join(names)}?", names, "practice")
        )
        settled.values["onefile", "environment"] = environment
    token, organisation_id = _token(given, asking, settled), given.organisation
    onefile = None
    if token:
        url = given.base_url or (environment or Environment.PRACTICE).base_url
        try:
            onefile = stack.enter_context(open_onefile(url.rstrip("/"), token))
            organisation_id = _organisation(onefile, given, asking, settled)
        except SyncdError as problem:
            if not asking.is_answered:
                raise
            onefile = None
            typer.echo(str(problem))
    if not onefile:
        settled.left.insert(0, f"Put OneFile's customer token into {_TOKEN}, or a file that customer_token_file names.")
    if organisation_id is None and asking.is_answered:
        said = asking.text("The number of your organisation in OneFile (Enter if you do not know it)")
        organisation_id = int(said) if said.isdecimal() else None
    if organisation_id is None:
        settled.left.append("Set onefile.organisation_id in syncd.toml: OneFile's support can tell it.")
    else:
        settled.values["onefile", "organisation_id"] = organisation_id
    return onefile, organisation_id


def _token(given: Given, asking: Asking, settled: Settled) -> str:
    file = str(given.customer_token_file or os.environ.get(f"{_TOKEN}_FILE", ""))
    if not file and os.environ.get(_TOKEN):
        return os.environ[_TOKEN].strip()
    if not file:
        file = asking.text(f"A file with OneFile's customer token (Enter for none; {_TOKEN} would do too)")
    if not file:
        return ""
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(f"{file}, which is to hold the customer token, cannot be read.") from None
    if given.customer_token_file or not os.environ.get(f"{_TOKEN}_FILE"):
        settled.values["onefile", "customer_token_file"] = str(Path(file).absolute())
    return token


def _organisation(onefile: OneFile, given: Given, asking: Asking, settled: Settled) -> int:
    there = {str(one.id): one for one in onefile.organisations()}
    listed = ", ".join(f"{number} ({one.name})" for number, one in there.items())
    if given.organisation is not None:
        return onefile.organisation(given.organisation).id
    if not there:
        raise ConfigurationError("The customer token gives access to no organisation.")
    if len(there) > 1 and not asking.is_answered:
        raise ConfigurationError(
            f"The customer token sees several organisations: name one with --organisation: {listed}."
        )
    typer.echo(f"OneFile answers. The customer token sees {listed}.")
    number = next(iter(there))
    if len(there) > 1:
        number = asking.one_of("Which organisation?", list(there), number)
        settled.left.append(
            "If the feeds have people of several organisations: see onefile.organisations in syncd.toml."
        )
    return there[number].id


def _defaults(
    given: Given,
    asking: Asking,
    settled: Settled,
    learners: Feed | None,
    onefile: OneFile | None,
    organisation_id: int | None,
) -> None:
    """What stands in where the MIS names no class, placement or assessor."""
    known = DefaultsSettings.model_fields
    for said in given.defaults:
        key, _, value = (part.strip() for part in said.partition("="))
        if key not in known or not value or (key.endswith("_id") and not value.isdecimal()):
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near and near[0] != key else f"such as {', '.join(known)}."
            raise ConfigurationError(f"--default takes KEY=VALUE, and {key!r} is no key with a value that fits; {hint}")
        settled.values["defaults", key] = int(value) if key.endswith("_id") else value
    for field_name, what in _DEFAULTED.items():
        if learners is None or any(key.startswith(what) for section, key in settled.values if section == "defaults"):
            continue
        source = next((one for one in learners.supplied if field_of(one.name) == field_name and not one.off), None)
        if source and source.table == learners.table and not source.columns[0].look.has_gaps:
            continue
        names = _there(onefile, what, organisation_id)
        proposed = _stand_in(what, names, is_needed=source is None)
        whom = "everybody, for the MIS names none" if source is None else "those for whom the MIS names none"
        if names and asking.is_answered:
            typer.echo(
                f"OneFile has: {', '.join(list(names)[:_MOST_SHOWN])}{', …' if len(names) > _MOST_SHOWN else ''}"
            )
        answer = asking.text(f"Which {what} for {whom}? By name, MISID or OneFile's id (Enter for none)", proposed)
        if answer:
            settled.values["defaults", names.get(answer, _key_of(what, answer))] = (
                int(answer) if names.get(answer, _key_of(what, answer)).endswith("_id") else answer
            )
        elif source is None:
            settled.left.append(f"Give each learner's {what}: a column of learners.sql, or a key in [defaults].")


def _key_of(what: str, answer: str) -> str:
    return f"{what}_{'id' if answer.isdecimal() else 'misid'}"


def _there(onefile: OneFile | None, what: str, organisation_id: int | None) -> Mapping[str, str]:
    """What OneFile has to choose from, each with the key that names it so: places by name, assessors by MISID or id."""
    if onefile is None or organisation_id is None:
        return {}
    if what == "assessor":
        users = onefile.users(organisation_id, Role.ASSESSOR)
        return {user.misid or str(user.id): "assessor_misid" if user.misid else "assessor_id" for user in users}
    role = {"classroom": Role.CLASSROOM, "placement": Role.PLACEMENT}[what]
    names = [one.name for one in onefile.places(role, organisation_id)]
    return {name: f"{what}_name" for name in names if names.count(name) == 1}


def _stand_in(what: str, names: Mapping[str, str], *, is_needed: bool) -> str:
    """The one to propose: the only one there is, or a placement that is called as if it were meant for this."""
    if what == "placement" and (like := [name for name in names if name.lower().startswith(_NO_OTHER)]):
        return like[0]
    return next(iter(names)) if is_needed and len(names) == 1 else ""


def is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()
