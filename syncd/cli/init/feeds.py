"""Choose the learners' table and its columns: propose, correct, and write queries."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

import typer

from syncd.cli.init.config_file import FeedEntry
from syncd.cli.init.prompts import InitAnswers, InitOptions, Prompter
from syncd.cli.output.text import print_table
from syncd.core.fields import FIELDS, Role, columns_of
from syncd.core.text import plural
from syncd.errors import ConfigurationError
from syncd.mis import Mis
from syncd.setup.inspector import SchemaInspector
from syncd.setup.mapping import learners_tables, promising, propose, with_employers
from syncd.setup.schema import Feed, NotJoined, Supplied, Table
from syncd.setup.sql import select_of

#: At most this many tables are profiled.
_MOST_TABLES: Final = 60
_MOST_SHOWN: Final = 20
_KINDS: Final = {Role.PLACEMENT: "placements", Role.CLASSROOM: "classrooms"}


def choose_feeds(mis: Mis, options: InitOptions, prompter: Prompter, answers: InitAnswers) -> Feed:
    """Choose the feeds and their queries; returns the learners' feed. Raises `MisUnreachable`, `ConfigurationError`."""
    inspected = SchemaInspector(mis, options.schema)
    if inspected.unread:
        typer.echo(
            f"This login cannot read the database's catalogue of {' and '.join(inspected.unread)}, so joins may be "
            "missing in the queries. Check them, or run init with a login that can read it."
        )
    looked = {one.name: inspected.profiled(one) for one in promising(inspected.tables)[:_MOST_TABLES]}
    tables = [looked.get(one.name, one) for one in inspected.tables]
    base = _learners_table(tables, options, prompter)
    feeds = _proposed(tables, base, options, prompter)
    where = options.where
    if where is None:
        where = prompter.text(
            f"Which learners? A condition in SQL, such as {inspected.dialect.alias(base.name)}.… = 'current' "
            "(Enter for all)"
        )
    _print_others(feeds[1:])
    on = _feeds_on(feeds, options, prompter)
    if "employers" in on:
        feeds = (with_employers(feeds[0]), *feeds[1:])
    by_name = {one.name: one for one in tables}
    for feed in feeds:
        condition = where if feed is feeds[0] else ""
        entry = FeedEntry(feed.name, _KINDS.get(feed.role, "users"), feed.role, feed.name in on)
        answers.feeds.append(entry)
        answers.files[entry.file] = select_of(feed, by_name, inspected.dialect, condition).encode()
    # Learners come after the records that they refer to.
    answers.feeds.sort(key=lambda one: one.name == "learners")
    return feeds[0]


def _learners_table(tables: Sequence[Table], options: InitOptions, prompter: Prompter) -> Table:
    names = [one.name for one in tables]
    likely = learners_tables(tables)
    if options.learners:
        found = next((one for one in tables if one.name.lower() == options.learners.lower()), None)
        if found is None:
            near = get_close_matches(options.learners, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:_MOST_SHOWN]) or 'none'}."
            raise ConfigurationError(f"There is no table or view {options.learners}; {hint}")
        return found
    if not likely and not (names and prompter.is_answered):
        raise ConfigurationError(
            f"None of {_tables(names)} appears to hold learners. Name it with --learners, or name its schema "
            "with --schema."
        )
    also = [one.name for one in likely[1:4]]
    typer.echo(f"It has {_tables(names)}." + (f" Other tables of people: {', '.join(also)}." if also else ""))
    name = prompter.one_of("Which table or view holds the learners?", names, likely[0].name if likely else "")
    return next(one for one in tables if one.name == name)


def _tables(names: Sequence[str]) -> str:
    return plural(len(names), "table", "tables and views")


def _proposed(tables: Sequence[Table], base: Table, options: InitOptions, prompter: Prompter) -> tuple[Feed, ...]:
    """Return the feeds, once the operator accepts the learners' columns."""
    chosen = dict(_choice(said, base) for said in options.columns or ())
    while True:
        try:
            feeds = propose(tables, base, chosen)
        except NotJoined as problem:
            raise ConfigurationError(f"--column: {problem}.") from None
        _print_mapping(feeds[0])
        if options.columns is not None or not prompter.is_answered:
            return feeds
        feeds = _corrected(tables, base, chosen, prompter)
        if not feeds:
            return propose(tables, base, chosen)


def _corrected(
    tables: Sequence[Table], base: Table, chosen: dict[str, tuple[str, str] | None], prompter: Prompter
) -> tuple[Feed, ...]:
    """Ask until a correction is valid, and return the corrected feeds; empty without a correction."""
    while said := prompter.text(
        "Correct a line: Email=table.column, or Email= to leave it out (Enter if all is right)"
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
        raise ConfigurationError(f"{name!r} is not a column of a learners' feed; {hint}")
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
    rows += [(name, "STILL MISSING", "mandatory") for name in learners.missing]
    print_table(("OneFile", "from", "because"), rows, "")
    for join in learners.joins:
        which = ", the last of several rows" if join.newest_by else ""
        typer.echo(f"  {join.table} {join.reason}{which}.")
    typer.echo()


def _with_meaning(name: str) -> str:
    """Return a column's name, with its meaning if the name does not show it."""
    meaning = FIELDS[name].source.partition(": ")[2] if FIELDS.get(name, FIELDS["MISID"]).special else ""
    return f"{name} ({meaning})" if meaning else name


def _columns_of(one: Supplied, base: str) -> str:
    """Return the source columns, with their table if it is not the learners' own."""
    return ", ".join(column.name for column in one.columns) if one.table == base else str(one)


def _print_others(others: Sequence[Feed]) -> None:
    for feed in others:
        typer.echo(f"It also has {feed.name}, in {feed.table}.")


def _feeds_on(feeds: Sequence[Feed], options: InitOptions, prompter: Prompter) -> set[str]:
    names = [feed.name for feed in feeds]
    said = options.feeds
    if said is None:
        said = "learners"
        if len(feeds) > 1:
            typer.echo(
                "You decide for which roles syncd creates accounts, and which places it creates: learners can refer\n"
                "to what OneFile already has. Each feed has a query; those you do not name are off in syncd.toml."
            )
            said = prompter.text(f"Which feeds should be on: {', '.join(names)}, or all?", "learners")
    on = set(names) if said.strip() == "all" else {each.strip() for each in said.split(",")} | {"learners"}
    if unknown := on - set(names):
        raise ConfigurationError(
            f"There is no feed {', '.join(sorted(unknown))} to switch on; there are {', '.join(names)}."
        )
    return on
