"""The command admin: access to the web pages."""

import sys

import typer

from syncd.cli.program import app

admin = typer.Typer(no_args_is_help=True, help="Manage access to the web pages.")
app.add_typer(admin, name="admin")


@admin.command()
def password() -> None:
    """Print the hash of a password, for admin.password_hash or admin.viewer_password_hash.

    Asks for the password twice, or reads it from standard input: 'syncd admin password < FILE > HASH-FILE'.
    The password cannot be recovered from its hash.
    """
    # Imported here, so that other commands do not wait for it.
    from syncd.web.auth.credentials import SHORTEST_PASSWORD, hash_of  # noqa: PLC0415

    given = _typed() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(given) < SHORTEST_PASSWORD:
        raise typer.BadParameter(f"a password has at least {SHORTEST_PASSWORD} characters", param_hint="the password")
    typer.echo(hash_of(given))


def _typed() -> str:
    # Standard output is for the hash alone.
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    return typed
