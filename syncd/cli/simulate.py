"""The command simulate: the OneFile simulator on its own."""

from syncd.cli.program import app
from syncd.simulator.command import simulate

app.command()(simulate)
