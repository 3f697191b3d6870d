"""Ask for the database of the MIS, connect to it, and record its URL without the password."""

import os
from pathlib import Path
from typing import Final

import typer
from sqlalchemy.engine import URL, make_url

from syncd.cli.init.prompts import PASSWORD_VARIABLE, URL_VARIABLE, InitAnswers, InitOptions, Prompter
from syncd.database_url import has_password, parse_database_url, refuse_other_notation, with_password
from syncd.errors import ConfigurationError, SyncdError
from syncd.mis import Mis
from syncd.secret_file import read_secret_file

#: How long a query for a few rows of a table may take.
_PATIENCE_SECONDS: Final = 20


def choose_database(options: InitOptions, prompter: Prompter, answers: InitAnswers, folder: Path) -> Mis | None:
    """Return the MIS, once it answers; ``None`` if the operator has none yet."""
    said = options.database or ""
    if not options.has_database:
        said = prompter.text(
            "Your MIS: a database URL such as postgresql+psycopg://reader@host/mis, or a SQLite file "
            "(Enter for an example to fill in)"
        )
        if not said:
            return None
    url = source_of(options, said, answers, folder)
    mis = Mis(url, _PATIENCE_SECONDS)
    try:
        with mis.connect():
            return mis
    except SyncdError as problem:
        if not prompter.is_answered or make_url(url).password or not make_url(url).username:
            raise
        typer.echo(str(problem))
    password = prompter.hidden(f"The password of {make_url(url).username} (not shown, not stored)")
    mis = Mis(make_url(url).set(password=password).render_as_string(hide_password=False), _PATIENCE_SECONDS)
    with mis.connect():
        answers.left.append(f"Set the password of the MIS in {PASSWORD_VARIABLE}, or in source.password_file.")
        return mis


def source_of(options: InitOptions, said: str, answers: InitAnswers, folder: Path) -> str:
    """Return the URL with its password, to connect; the URL that is recorded has none. Raises `ConfigurationError`."""
    variable, file = (
        os.environ.get(URL_VARIABLE, ""),
        options.database_file or os.environ.get(f"{URL_VARIABLE}_FILE", ""),
    )
    is_secret = not said
    if not said and file:
        said = _secret_in(file).strip()
        answers.values["source", "url_file"] = str(Path(file).absolute())
    said = said or variable
    try:
        refuse_other_notation(said)
        url = parse_database_url(said if "://" in said else f"sqlite:///{said}")
    except ValueError as problem:
        raise ConfigurationError(f"The URL of the MIS {problem}.") from None
    if has_password(url) and not is_secret:
        raise ConfigurationError(
            "Others can see a password on the command line. Give the URL without it, and the password in "
            f"{PASSWORD_VARIABLE}."
        )
    password = _password()
    if url.drivername.startswith("sqlite") and url.database:
        place = Path(url.database).absolute()
        inside = place.relative_to(folder.absolute()) if place.is_relative_to(folder.absolute()) else place
        answers.values["source", "url"] = f"sqlite:///{inside.as_posix()}"
        url = url.set(database=str(place))
    elif ("source", "url_file") not in answers.values:
        # The options of a URL may be secrets too.
        query_options = {} if is_secret else url.query
        shown = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query_options)
        answers.values["source", "url"] = shown.render_as_string()
    if ("source", "url_file") in answers.values:
        answers.values.pop(("source", "url"), None)
    if url.password and ("source", "url_file") not in answers.values:
        answers.left.append(f"{URL_VARIABLE} has the URL with its password: set it wherever syncd runs.")
    if password:
        answers.left.append(f"{PASSWORD_VARIABLE} has the password of the MIS: set it wherever syncd runs.")
    try:
        return with_password(url, password).render_as_string(hide_password=False)
    except ValueError as problem:
        raise ConfigurationError(f"The MIS: {problem}.") from None


def _password() -> str:
    """Return the MIS's password from the environment, unchanged."""
    file = os.environ.get(f"{PASSWORD_VARIABLE}_FILE", "")
    return os.environ.get(PASSWORD_VARIABLE, "") or (_secret_in(file) if file else "")


def _secret_in(file: Path | str) -> str:
    try:
        return read_secret_file(Path(file))
    except ValueError as problem:
        raise ConfigurationError(f"{problem}.") from None
