"""The command demo: the whole story on this machine."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from syncd import demo as demo_
from syncd.cli.program import app


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
        demo_.run_demo(folder, keychain=keychain)
    except KeyboardInterrupt:
        raise demo_.StoryBroken(f"The demo was stopped. Delete {folder} before you start it again.") from None
