"""The command demo: the whole story on this machine."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from syncd import demo as demo_
from syncd.cli.program import app


@app.command()
def demo(
    *,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder to use. It must be empty or not exist yet.")
    ] = Path("syncd-demo"),
    keychain: Annotated[
        bool, typer.Option("--keychain", help="Simulate a OneFile that creates a Keychain for every new account.")
    ] = False,
) -> None:
    """Show the whole story on this machine in under a minute. Needs no OneFile account and no MIS.

    Runs the real commands between a made-up MIS and a simulated OneFile: a plan, a first run, a week of changes, a
    second run. Writes only to its folder.
    """
    # Whichever signal ends the demo, the simulator must end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo_.run_demo(folder, keychain=keychain)
    except KeyboardInterrupt:
        raise demo_.StoryBroken(f"The demo was stopped. Delete {folder} before you start it again.") from None
