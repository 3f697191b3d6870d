"""The command init: writes a configuration after asking and after looking at the MIS."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd.cli.init.config_file import render_config
from syncd.cli.init.database import choose_database, source_of
from syncd.cli.init.feeds import choose_feeds
from syncd.cli.init.onefile import choose_defaults, choose_onefile
from syncd.cli.init.prompts import InitAnswers, InitOptions, Prompter, is_terminal
from syncd.cli.init.recipes import Recipe, recipe, recipes
from syncd.cli.output.text import print_table
from syncd.cli.program import app
from syncd.errors import ConfigurationError
from syncd.resources import shipped
from syncd.settings import Environment
from syncd.setup.schema import Feed

#: The files written if there is no database to inspect yet.
_EXAMPLE_FEEDS: Final = {
    "learners.sql": "an example of the learners' feed",
    "assessors.sql": "an example of the assessors' feed, if syncd manages them too",
}


_NEXT: Final = """
'syncd doctor' says what to correct, and 'syncd plan' what would be sent; neither changes anything. 'syncd sync' sends
it. Start with OneFile's practice environment, which has its own customer token, and set onefile.environment = "live"
once the results are right. The daemon 'syncd run' then keeps accounts in sync; a unit for systemd is """


def _list_recipes(wanted: bool) -> None:
    if wanted:
        print_table(("recipe", "for", "tried on"), ((one.name, one.title, one.tried) for one in recipes()), "")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder to write to.")] = Path(),
    *,
    database: Annotated[
        str | None,
        typer.Option(metavar="URL|FILE", help="Your MIS: a database URL without a password, or a SQLite file."),
    ] = None,
    database_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds the URL, with its password if it has one.")
    ] = None,
    schema: Annotated[str, typer.Option(metavar="NAME", help="The schema of its tables, if not the login's own.")] = "",
    learners: Annotated[
        str | None, typer.Option(metavar="TABLE", help="The table or view that holds learners.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=TABLE.COLUMN", help="The source of a field, or FIELD= to leave it out."),
    ] = None,
    where: Annotated[str | None, typer.Option(metavar="SQL", help="A condition that selects the learners.")] = None,
    feeds: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="The feeds to switch on: 'learners,classrooms', or 'all'."),
    ] = None,
    environment: Annotated[Environment | None, typer.Option(help="OneFile's environment.", show_default=False)] = None,
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="The address of a simulator, instead of an environment.")
    ] = "",
    organisation: Annotated[
        int | None, typer.Option(metavar="ID", help="Your organisation's number, if the token has access to several.")
    ] = None,
    customer_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds OneFile's customer token.")
    ] = None,
    default: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help=r"A key of \[defaults], such as classroom_name=Induction."),
    ] = None,
    recipe_name: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="Write this recipe instead of inspecting a database.")
    ] = "",
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing; accept the proposals.")] = False,
    list_recipes: Annotated[  # noqa: ARG001
        bool, typer.Option("--list-recipes", callback=_list_recipes, is_eager=True, help="List the recipes and exit.")
    ] = False,
) -> None:
    """Write a commented syncd.toml and a query for each feed, from your answers and the MIS's schema.

    Inspects the names of tables and columns and a few values, which it neither shows nor stores, proposes which column
    is which, and asks OneFile for the organisation. Secrets come from files or the environment: the database URL from
    SYNCD_SOURCE__URL, the customer token from SYNCD_ONEFILE__CUSTOMER_TOKEN.

    Every question has an option; what is given is not asked. Without a terminal it asks nothing; without a database it
    then writes an example to fill in. Nothing is overwritten: if one of the files exists, it exits with 1.
    """
    recipe_ = recipe(recipe_name) if recipe_name else None
    _refuse_to_overwrite(folder, ["syncd.toml", *(recipe_.files if recipe_ else _EXAMPLE_FEEDS)])
    options = InitOptions(
        database, database_file, schema, learners, column, where, feeds, environment, base_url, organisation,
        customer_token_file, default or (),
    )  # fmt: skip
    prompter = Prompter(is_answered=is_terminal() and not no_input and recipe_ is None)
    answers = _ask(options, prompter, folder, recipe_)
    if not answers.feeds:
        answers.files = {name: (shipped("config") / name).read_bytes() for name in _EXAMPLE_FEEDS}
        answers.left += ["Set source.url in syncd.toml.", "Change learners.sql into a SELECT over your own MIS."]
    example = (shipped("config") / "syncd.toml").read_text(encoding="utf-8")
    _write(folder, {"syncd.toml": render_config(example, answers.values, answers.feeds).encode(), **answers.files})
    typer.echo(f"\nWritten to {folder.absolute()}:\n")
    about = {"syncd.toml": "the configuration, with every key explained"} | ({} if answers.feeds else _EXAMPLE_FEEDS)
    about |= {feed.file: "switched off in syncd.toml" for feed in answers.feeds if not feed.is_on}
    for name in ("syncd.toml", *answers.files):
        typer.echo(f"  {name:<23}{about.get(name, '')}".rstrip())
    if answers.left:
        typer.echo("\nStill to do:\n")
        for number, what in enumerate(answers.left, start=1):
            typer.echo(f"  {number}. {what}")
    typer.echo(f"{_NEXT}{shipped('config') / 'syncd.service'}.")


def _ask(options: InitOptions, prompter: Prompter, folder: Path, recipe_: Recipe | None) -> InitAnswers:
    """Ask for the answers, with proposals from the MIS and from OneFile. Raises `SyncdError`."""
    answers = InitAnswers()
    learners: Feed | None = None
    if recipe_:
        _take_recipe(recipe_, options, answers, folder)
    elif (options.has_database or prompter.is_answered) and (
        mis := choose_database(options, prompter, answers, folder)
    ):
        typer.echo(f"\nThe MIS at {mis} answers. Nothing is changed in it, and no personal value is shown.")
        learners = choose_feeds(mis, options, prompter, answers)
    with ExitStack() as stack:
        onefile, organisation_id = choose_onefile(options, prompter, answers, stack)
        choose_defaults(options, prompter, answers, learners, onefile, organisation_id)
    return answers


def _take_recipe(recipe_: Recipe, options: InitOptions, answers: InitAnswers, folder: Path) -> None:
    answers.values["source", "url"] = recipe_.url
    if options.has_database:
        source_of(options, options.database or "", answers, folder)
    answers.feeds = list(recipe_.feeds)
    answers.files = dict(recipe_.files)
    answers.left += [what for what in recipe_.left if not (options.has_database and "source.url" in what)]


def _refuse_to_overwrite(folder: Path, names: Iterable[str]) -> None:
    if there := [name for name in names if (folder / name).exists()]:
        raise ConfigurationError(
            f"Nothing was written: {folder.absolute()} already has {', '.join(there)}. "
            "Move these away, or name another folder: 'syncd init DIR'."
        )


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    _refuse_to_overwrite(folder, files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with (folder / name).open("xb") as file:
                file.write(content)
    except OSError as problem:
        raise ConfigurationError(f"{folder.absolute()} cannot be written to: {problem.strerror}.") from None
