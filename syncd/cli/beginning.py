"""demo, init, simulate: the first steps."""

import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from syncd import demo as demo_
from syncd.cli.program import app
from syncd.errors import ConfigurationError
from syncd.shipped import shipped
from syncd.simulator.command import simulate

_EXAMPLES: Final = {
    "syncd.toml": "the configuration, every key explained",
    "learners.sql": "an example of the learners' feed",
    "assessors.sql": "the same for assessors, if you want syncd to look after them too",
}

_NEXT: Final = """
What to do next, in that folder:

  1. In syncd.toml, set onefile.organisation_id and source.url.
  2. Make learners.sql a SELECT over your own MIS.
  3. Put OneFile's customer token into the environment, as SYNCD_ONEFILE__CUSTOMER_TOKEN.
  4. See what would be sent, with nothing changed anywhere:  syncd plan
  5. Send it:                                                syncd sync

It starts with OneFile's practice environment, which has a token of its own: change onefile.environment to "live"
when you trust what you see. To keep everybody in step from then on there is 'syncd run'; a unit to run it as a
systemd service is """


@app.command(rich_help_panel="Setting up")
def demo(
    *,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to put it: a folder that is empty or not there yet.")
    ] = Path("syncd-demo"),
    keychain: Annotated[
        bool, typer.Option("--keychain", help="With a OneFile that creates a Keychain for every new account.")
    ] = False,
) -> None:
    """Show the whole story on this machine in under a minute.

    A made-up MIS, a simulated OneFile, and the real commands between the two: a plan, a first run, a week of
    changes, a second run. It touches nothing but its folder, and needs no OneFile.
    """
    # However it is told to end, the simulator must not outlive it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo_.tell_in(folder, keychain=keychain)
    except KeyboardInterrupt:
        raise demo_.StoryBroken(f"The demo was stopped. Delete {folder} before you start it again.") from None


@app.command(rich_help_panel="Setting up")
def init(folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to.")] = Path()) -> None:
    """Write a commented configuration and example feeds to start from.

    Nothing is overwritten: when one of the files is there already, it writes none and ends with 1.
    """
    if there := [name for name in _EXAMPLES if (folder / name).exists()]:
        raise ConfigurationError(
            f"Nothing was written, because {folder.absolute()} already has {', '.join(there)}. "
            "Move what is there away, or name another folder: 'syncd init DIR'."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _EXAMPLES:
            with (folder / name).open("xb") as file:
                file.write((shipped("config") / name).read_bytes())
    except OSError as problem:
        raise ConfigurationError(f"{folder.absolute()} cannot be written to: {problem.strerror}.") from None
    typer.echo(f"Written to {folder.absolute()}:\n")
    for name, what in _EXAMPLES.items():
        typer.echo(f"  {name:<15}{what}")
    typer.echo(f"{_NEXT}{shipped('config') / 'syncd.service'}.")


app.command(rich_help_panel="Setting up")(simulate)
