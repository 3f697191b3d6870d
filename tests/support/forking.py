"""syncd in processes that are forked from one that has loaded it, which takes longer than most commands."""

import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from multiprocessing import get_context
from pathlib import Path
from typing import Final

#: A test's process has one server to fork from, so that what is to be loaded is listed here for all.
CONTEXT: Final = get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "psycopg", "syncd.__main__", __name__, "tests.support.preloaded"])


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    *,
    timeout_seconds: float,
) -> int:
    """Run a command of syncd to its end in a folder, with these variables and no others, and return its exit code.

    What it writes goes to the two files. Raises `TimeoutError` if it has not ended in time; then it is killed.
    """
    process = CONTEXT.Process(target=_command, args=(tuple(arguments), folder, dict(environment), stdout, stderr))
    process.start()
    process.join(timeout_seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"syncd {' '.join(arguments)} has not ended after {timeout_seconds:.0f} seconds")
    return process.exitcode


def become_command(arguments: Sequence[str], environment: Mapping[str, str], stdout: Path, stderr: Path) -> None:
    """Have this process be a command of syncd: with these variables and no others, writing to these files.

    The two streams get the encoding that Python would have read from PYTHONIOENCODING at its start, else UTF-8.
    """
    for descriptor, file in ((1, stdout), (2, stderr)):
        with file.open("ab") as opened:
            os.dup2(opened.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    for stream, errors in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(encoding=environment.get("PYTHONIOENCODING", "utf-8"), errors=errors)
    sys.argv = ["syncd", *arguments]


def _command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
) -> None:
    from syncd.__main__ import main  # noqa: PLC0415 - it is forked from a process that need not run it

    os.chdir(folder)
    become_command(arguments, environment, stdout, stderr)
    main()
