"""What the commands share: their options, the configuration, the log."""

import getpass
import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.config_option import config_before_command
from syncd.core.fields import FIELDS, Role
from syncd.core.misid import read_misid
from syncd.core.records import Reason
from syncd.core.values import Unusable
from syncd.settings import Settings, configuration_file, load_settings
from syncd.sync.reasons import HELD, LEFT_OUT, describe

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def whole_number(text: str) -> int:
    """Parse a whole number. Raises `typer.BadParameter`."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number") from None


def role_named(text: str) -> Role:
    """Parse a role in any letter case. Raises `typer.BadParameter`, with the nearest role."""
    named = {role.lower(): role for role in Role}
    if role := named.get(text.strip().lower()):
        return role
    nearest = get_close_matches(text.lower(), named, n=1)
    meant = f"did you mean {named[nearest[0]].value!r}?" if nearest else f"it must be one of {', '.join(Role)}"
    raise typer.BadParameter(f"{text!r} is not a role; {meant}")


def field_named(text: str) -> str:
    """Parse the name of a OneFile field in any letter case. Raises `typer.BadParameter`, with the nearest name."""
    named = {name.lower(): name for name in FIELDS}
    if name := named.get(text.strip().lower()):
        return name
    nearest = get_close_matches(text.lower(), named, n=1)
    meant = f"did you mean {named[nearest[0]]!r}?" if nearest else "'syncd help feeds' lists them"
    raise typer.BadParameter(f"{text!r} is not a field; {meant}")


def reason_named(text: str) -> Reason:
    """Parse a reason: its code or its words, such as "rekeyed?" or "another person". Raises `typer.BadParameter`."""
    named = {_plain(reason): reason for reason in {**HELD, **LEFT_OUT}}
    if reason := named.get(_plain(text)):
        return reason
    nearest = get_close_matches(_plain(text), named, n=1)
    meant = f"did you mean {describe(named[nearest[0]])!r}?" if nearest else "'syncd help reasons' lists them"
    raise typer.BadParameter(f"{text!r} is not a reason; {meant}")


def _plain(reason: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", reason.casefold()).split())


def misid_given(text: str) -> str:
    """Parse a MISID as a feed's is parsed: trimmed, and without invisible characters. Raises `typer.BadParameter`."""
    try:
        misid = read_misid(text)
    except Unusable as problem:
        raise typer.BadParameter(f"the MISID {problem}; type it again instead of copying it") from None
    if misid is None:
        raise typer.BadParameter("the MISID is empty")
    return misid


MisidOption = Annotated[
    list[str] | None,
    typer.Option(
        "--misid",
        metavar="MISID",
        parser=misid_given,
        help="Only this MISID; repeat it for several.",
        show_default=False,
    ),
]


ReasonOption = Annotated[
    Reason | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        parser=reason_named,
        help='Only records held for this reason, such as "rekeyed?" or "another person?".',
        show_default=False,
    ),
]


OnlyRoleOption = Annotated[
    Role | None,
    typer.Option(
        "--role", metavar="ROLE", parser=role_named, help=f"Only this role: {', '.join(Role)}.", show_default=False
    ),
]


OrganisationOption = Annotated[
    int | None,
    typer.Option(
        "--organisation",
        metavar="ID",
        parser=whole_number,
        help="Only this organisation, if several are configured.",
        show_default=False,
    ),
]


def file_of(config: Path | None) -> Path:
    """The configuration file of this command."""
    return configuration_file(config or config_before_command.get())


def settings_of(config: Path | None) -> Settings:
    """The configuration of this command. Raises `ConfigurationError`."""
    return load_settings(file_of(config))


def organisations_of(settings: Settings, chosen: int | None) -> tuple[int, ...]:
    """The organisation chosen, else all that are configured. Raises `typer.BadParameter` for one that is not."""
    configured = settings.onefile.all_organisations
    if chosen is None:
        return configured
    if chosen not in configured:
        listed = ", ".join(map(str, configured))
        raise typer.BadParameter(
            f"{chosen} is not configured; the configuration has {listed}", param_hint="--organisation"
        )
    return (chosen,)


def organisation_of(settings: Settings, chosen: int | None) -> int:
    """The one organisation of a command. Raises `typer.BadParameter` if there are several and none is chosen."""
    organisations = organisations_of(settings, chosen)
    if len(organisations) > 1:
        listed = ", ".join(map(str, organisations))
        raise typer.BadParameter(
            f"several organisations are configured; choose one: {listed}", param_hint="--organisation"
        )
    return organisations[0]


def set_up_logs(settings: Settings, *, is_watched: bool = False) -> "FilteringBoundLogger":
    """Set up logging as configured; beside a progress bar on a terminal, only warnings and errors are logged."""
    # Imported here, so that commands without a log do not wait for it.
    from syncd import logs  # noqa: PLC0415

    on_terminal = sys.stderr.isatty()
    format_ = settings.log.format or ("console" if on_terminal else "json")
    is_quiet = is_watched and on_terminal and not settings.log.format and settings.log.level == "info"
    return logs.set_up(format_, "warning" if is_quiet else settings.log.level)


def whoami() -> str:
    """The user's name for the audit trail; the uid if the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


RoleOption = Annotated[
    Role,
    typer.Option(
        "--role",
        metavar="ROLE",
        parser=role_named,
        help=f"The role of the account: {', '.join(Role)}.",
        show_default=True,
    ),
]


ApproveOption = Annotated[bool, typer.Option("--approve", help="Approve the run beforehand, whatever its size.")]
