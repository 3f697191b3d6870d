"""The wheel, installed where there is no checkout: everything that a college needs is in it."""

import os
import re
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from syncd import __version__
from syncd.simulator import LimiterShape, Simulator, Switches
from tests.support.polling import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment with the wheel in it, and the folder that its commands are given in."""

    environment: Path
    folder: Path

    def __call__(self, *words: str, **variables: str) -> str:
        """Run one of its programs to its end; gives what it said on standard output."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.variables(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def command(self, program: str, *arguments: str) -> list[str]:
        """How to run one of its programs."""
        return [str(self.environment / "bin" / program), *arguments]

    def variables(self, **more: str) -> dict[str, str]:
        """An environment that leads to nothing else."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCD_", "PYTHON"))}
        return {**kept, **more}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--no-deps", f"--wheel-dir={folder}", str(_REPOSITORY))
    (wheel,) = folder.glob("syncd-*.whl")
    venv.create(folder / "venv", with_pip=True)
    _pip(str(folder / "venv" / "bin" / "python"), "install", str(wheel))
    college = folder / "college"
    college.mkdir()
    return Installed(folder / "venv", college)


@pytest.fixture(scope="module")
def onefile() -> Iterator[Simulator]:
    """A OneFile that has what the example of the csv recipe names."""
    here = {"OrganisationID": 5740}
    staff = {**here, "Role": 5, "LastName": "Jones", "Email": "jones@college.example"}
    seed = {
        "organisations": [{"ID": 5740, "Name": "Ynys Môn College"}],
        "classrooms": [{**here, "Name": code, "MISID": code} for code in ("CARE3", "BRICK2")],
        "placements": [{**here, "Name": name} for name in ("At college", "Ashby Vale Care Homes")],
        "users": [{**staff, "FirstName": "Siân", "MISID": "S1001"}, {**staff, "FirstName": "Tom", "MISID": "S1002"}],
    }
    with Simulator(Switches(limiter=LimiterShape.OFF), seed) as onefile:
        yield onefile


def test_college_starts_from_a_recipe_and_gets_in_sync(installed: Installed, onefile: Simulator) -> None:
    token = {"SYNCD_ONEFILE__CUSTOMER_TOKEN": onefile.customer_token}
    place = installed("python", "-c", "import syncd; print(syncd.__file__)").strip()
    assert Path(place).is_relative_to(installed.environment)
    assert installed("syncd", "--version") == f"syncd {__version__}\n"
    assert "# Feeds\n" in installed("syncd", "help", "feeds")
    for name in ("csv", "ilr", "other"):
        assert re.search(rf"^{name} ", installed("syncd", "init", "--list-recipes"), re.MULTILINE)

    installed("syncd", "init", "--recipe", "csv", "--base-url", onefile.base_url, **token)
    installed("python", "load_csv.py", "learners.example.csv")
    told = installed("syncd", "doctor", **token)
    assert "✗" not in told
    assert "2 rows; none would be held" in told
    installed("syncd", "db", "upgrade", **token)
    assert "is at" in installed("syncd", "db", "current", **token)
    assert "2 created" in installed("syncd", "sync", "--approve", **token)
    assert {user.misid for user in onefile.world.users.values() if user.role == 1} == {"L2001", "L2002"}

    # What init proposes for the same database is accepted too.
    installed("syncd", "init", "proposed", "--database", "mis.db", "--base-url", onefile.base_url, **token)
    told = installed("syncd", "--config", "proposed/syncd.toml", "doctor", **token)
    assert "✗" not in told

    _serves_its_pages(installed, token)


def test_the_example_is_written_where_no_database_is_named(installed: Installed) -> None:
    said = installed("syncd", "init", "example")
    for name in ("syncd.toml", "learners.sql", "assessors.sql"):
        shipped = (_REPOSITORY / "config" / name).read_bytes()
        assert (installed.folder / "example" / name).read_bytes() == shipped
    # The unit that it tells of is there, too.
    unit = re.search(r"unit for systemd is (\S+)\.$", said, re.MULTILINE)
    assert unit
    assert Path(unit[1]).is_file()


def test_demo_runs_to_its_end(installed: Installed) -> None:
    told = installed("syncd", "demo")
    assert "64 learners" in told
    assert (installed.folder / "syncd-demo" / "syncd.db").is_file()


def _serves_its_pages(installed: Installed, token: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = f"127.0.0.1:{server.getsockname()[1]}"
    daemon = subprocess.Popen(
        installed.command("syncd", "run"),
        cwd=installed.folder,
        env=installed.variables(SYNCD_ADMIN__LISTEN=listen, **token),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = wait_until(lambda: _page(f"http://{listen}/"), "the page")
        assert "syncd" in page
        for file in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page)):
            assert httpx.get(f"http://{listen}{file}", trust_env=False).status_code == httpx.codes.OK
        assert "/static/" in page
        assert "Kinds of feed" in httpx.get(f"http://{listen}/docs/feeds", trust_env=False).text
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0


def _page(url: str) -> str | None:
    try:
        answer = httpx.get(url, trust_env=False, follow_redirects=True)
    except httpx.TransportError:
        return None
    return answer.text if answer.is_success else None


def _pip(python: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--quiet", *arguments], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
