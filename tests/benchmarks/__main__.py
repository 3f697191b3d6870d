"""`python -m tests.benchmarks`: measures, prints a table, writes JSON, and fills the documentation's page."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store

from .contenders import Hollow
from .databases import databases
from .growth import Size, ask, bytes_of, document, fill
from .host import Host, calculated
from .host import measure as measure_host
from .measures import MEASURES, Choice, run
from .results import HEADS, Measured, commit, machine, markdown, put_into, table_rows

#: A table that is broken to fit a terminal cannot be read.
_WIDTH = 160
_MAKES = ("sqlite", "postgresql")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def compare(
    context: typer.Context,
    *,
    rows: Annotated[str, typer.Option(help="How many learners; several sizes with commas.")] = "10000,100000",
    pairs: Annotated[
        str, typer.Option("--databases", help="The MIS's make, or the MIS's and the state store's with a slash.")
    ] = "sqlite,postgresql",
    only: Annotated[str, typer.Option(help=f"What to measure, of {', '.join(MEASURES)}.")] = ",".join(MEASURES),
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured.")] = 5,
    calls: Annotated[int, typer.Option(min=1, help="How many calls a round of send makes.")] = 300,
    peers_up_to: Annotated[int, typer.Option(help="Leave the peers out with more learners than this.")] = 100_000,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all of it here.")] = None,
    readme: Annotated[
        Path | None, typer.Option("--markdown", help="Fill the section Benchmarks of this file, from --from if given.")
    ] = None,
    source: Annotated[Path | None, typer.Option("--from", help="Measure nothing, and read this JSON.")] = None,
) -> None:
    """Measure syncd beside its floors: the bare driver, OneFile's limit, the least page."""
    if context.invoked_subcommand:
        return
    console = Console(width=_WIDTH)
    if source is None:
        choice = Choice(
            sizes=tuple(int(size) for size in rows.split(",")),
            pairs=tuple(_pair(named) for named in pairs.split(",")),
            rounds=rounds,
            measures=_measures(only),
            calls=calls,
            peers_up_to=peers_up_to,
        )
        try:
            told = run(choice, lambda measured: _print(console, measured)).document()
        except Hollow as problem:
            console.print(f"This benchmark is worth nothing: {problem}.", markup=False)
            raise typer.Exit(1) from None
        for each in told["growth"]:
            where = f"{each['measure']} {each['source']}/{each['state']} {each['contender']}"
            console.print(f"{where}: grows as rows^{each['exponent']:.2f}, its floor as {each['floor_exponent']:.2f}")
    else:
        told = json.loads(source.read_text(encoding="utf-8"))
    if json_file:
        json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if readme:
        put_into(readme, markdown(told))


@app.command()
def growth(
    *,
    accounts: Annotated[int, typer.Option(min=1000, help="How many accounts there are.")] = 200_000,
    changes: Annotated[int, typer.Option(min=1000, help="How many changes were made.")] = 10_000_000,
    runs: Annotated[int, typer.Option(min=1000, help="How many runs.")] = 200_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each question is asked.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all of it here.")] = None,
) -> None:
    """Fill a PostgreSQL state store with years of changes, and see how long it takes to answer."""
    console = Console(width=_WIDTH)
    size = Size(accounts, changes, runs)
    with databases(with_postgres=True) as (_, make):
        url = make("postgresql")
        store = Store(url, ValueCipher())
        store.upgrade()
        store.close()
        fill(url, size)
        asked = ask(
            url,
            size,
            rounds,
            lambda each: console.print(
                f"{each.question:<40}{each.median_seconds * 1000:>10.1f} ms  {each.seen:>8,} seen  "
                f"{'reads all of ' + ', '.join(each.read_whole) if each.read_whole else ''}"
            ),
        )
        sizes = bytes_of(url)
        for table, taken in sizes.items():
            console.print(f"{table:<40}{taken / 2**20:>10,.0f} MB")
    if json_file:
        told = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "machine": machine()}
        json_file.write_text(json.dumps(told | document(size, asked, sizes), indent=1) + "\n", encoding="utf-8")


@app.command()
def host(
    *,
    customers: Annotated[int, typer.Option(min=1, help="How many customers there are, each with a daemon.")] = 30,
    learners: Annotated[int, typer.Option(min=100, help="How many learners each of them has.")] = 2000,
    poll_seconds: Annotated[int, typer.Option(min=2, help="How often each is polled.")] = 10,
    polls: Annotated[int, typer.Option(min=2, help="How many polls of each are looked at.")] = 6,
    takeovers: Annotated[int, typer.Option(min=0, help="For how many of them a second daemon waits.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all of it here.")] = None,
) -> None:
    """Run the daemons of many customers on one PostgreSQL server, and see what they take of the machine."""
    console = Console(width=_WIDTH)
    try:
        measured = measure_host(
            Host(customers, learners, poll_seconds, polls, takeovers),
            lambda each: console.print(
                f"{each.what:<60}{each.median:>12,.2f} {each.unit:<3} "
                + (f"({each.lowest:,.2f} to {each.highest:,.2f}, of {each.seen})" if each.seen > 1 else ""),
                highlight=False,
            ),
        )
    except Hollow as problem:
        console.print(f"This benchmark is worth nothing: {problem}.", markup=False)
        raise typer.Exit(1) from None
    console.print("Calculated from that:")
    for what, figure in calculated(measured.figures):
        console.print(f"  {what:<58}{figure}", highlight=False)
    if json_file:
        told = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "machine": machine()}
        json_file.write_text(json.dumps(told | measured.document(), indent=1) + "\n", encoding="utf-8")


def _pair(named: str) -> tuple[str, str]:
    mis, _, state = named.partition("/")
    for make in (mis, state or mis):
        if make not in _MAKES:
            raise typer.BadParameter(f"{make!r} is none of {', '.join(_MAKES)}")
    return mis, state or mis


def _measures(only: str) -> tuple[str, ...]:
    measures = tuple(only.split(","))
    for measure in measures:
        if measure not in MEASURES:
            raise typer.BadParameter(f"{measure!r} is none of {', '.join(MEASURES)}")
    return measures


def _print(console: Console, measured: Sequence[Measured]) -> None:
    table = Table(*HEADS, box=None, show_header=True)
    for cells in table_rows(measured):
        table.add_row(*cells)
    console.print(table)


if __name__ == "__main__":
    app()
