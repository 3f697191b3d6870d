"""The option --config, which is given before or after the command."""

from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Final

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration file. (default: $SYNCD_CONFIG, else ./syncd.toml)", show_default=False
    ),
]

#: The file named before the command, as in ``syncd --config FILE sync``.
config_before_command: Final[ContextVar[Path | None]] = ContextVar("config_before_command", default=None)
