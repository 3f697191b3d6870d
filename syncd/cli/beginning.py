"""demo, init, simulate: the first steps."""

from syncd.cli.program import app
from syncd.simulator.command import simulate

app.command(rich_help_panel="Setting up")(simulate)
