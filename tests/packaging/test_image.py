"""The image, built and run by Debian's podman, read-only and without capabilities.

It cannot be pulled here, so a Debian 13, which has the same Python, represents the image of Python.
"""

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Final

import pytest

from syncd import __version__
from tests.support.polling import wait_until

from .checkout import REPOSITORY, SECRET, tracked
from .engine import Engine
from .images import Images

_TOKEN: Final = "simulated-customer-token-for-loopback-use-only"
_USER: Final = 10001
_STATE: Final = "/var/lib/syncd"
_CONFIGURATION: Final = """
[onefile]
base_url = "http://127.0.0.1:8021/api/v2.1"
organisation_id = 5740
customer_token_file = "customer-token"
[source]
url = "sqlite:////etc/syncd/mis.db"
[[feeds]]
name = "placements"
kind = "placements"
query = "SELECT misid AS MISID, name AS Name FROM placement"
"""
#: As the documentation says; Docker has no temporary file systems in a read-only container either.
_CONFINED: Final = (
    "--pull=never",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
#: Neither has a server to talk to, so both get as far as the network.
_CONNECT: Final = """
import mssql_python, oracledb
for connect, options in (
    (mssql_python.connect, {"connection_str": "Server=127.0.0.1,1;UID=reader;PWD=none;Encrypt=no"}),
    (oracledb.connect, {"user": "reader", "password": "none", "dsn": "127.0.0.1:1/mis"}),
):
    try:
        connect(**options)
    except Exception as error:
        print(error)
"""
_image = [pytest.mark.image, pytest.mark.timeout(1800)]


def test_dockerfile_takes_one_argument_and_names_no_secret() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^ARG (\w+)", text)) == {"DRIVERS"}
    assert "TOKEN" not in text.upper()
    assert f"\nUSER {_USER}\n" in text


class TestImage:
    pytestmark = _image

    def test_image_says_how_it_is_run_and_overrides_no_key(self, podman: Engine, image: str) -> None:
        configuration = podman.inspect(image)["Config"]
        assert configuration["User"] == str(_USER)
        assert configuration["Entrypoint"] == ["syncd"]
        assert configuration["Cmd"] == ["run"]
        assert set(configuration["Volumes"]) == {_STATE}
        assert set(configuration["ExposedPorts"]) == {"8642/tcp"}
        assert configuration["StopSignal"] in {SIGTERM.name, str(SIGTERM.value)}
        assert _health_check(podman, image)[0] == "python"
        names = {variable.partition("=")[0] for variable in configuration["Env"]}
        assert not [name for name in names if name.startswith("SYNCD_") and "__" in name]
        assert "SYNCD_CONFIG" in names

    def test_context_has_the_listed_files_and_no_other(self, podman: Engine, images: Images, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        taken = tmp_path / "taken"
        done = podman.build(images.context, "context", f"--file={tmp_path / 'Dockerfile'}", f"--output={taken}")
        assert done.returncode == 0, done.stdout + done.stderr
        found = {str(file.relative_to(taken)) for file in taken.rglob("*") if file.is_file()}
        beside = {"LICENSE", "README.md", "pyproject.toml", "requirements.lock", "requirements-drivers.lock"}
        assert found == {*tracked("syncd", "migrations", "config"), *beside}

    def test_image_has_none_of_the_planted_files(self, podman: Engine, image: str) -> None:
        search = ["grep", "--recursive", "--files-with-matches", SECRET, "/opt", "/src", _STATE, "/etc"]
        found = podman.run("run", "--rm", "--pull=never", "--user=0", f"--entrypoint={search[0]}", image, *search[1:])
        assert found.stdout == ""
        listed = podman.do("run", "--rm", "--pull=never", "--entrypoint=find", image, "/opt/syncd", "-name", "*.toml")
        assert "/config/syncd.toml" in listed

    def test_both_drivers_load_and_reach_the_network(self, podman: Engine, image: str) -> None:
        said = _python(podman, image, _CONNECT)
        # Refused, which both can only say once all of their libraries are loaded.
        assert "TCP Provider: Error code 0x2749" in said
        assert "DPY-6005" in said

    def test_image_without_drivers_is_smaller_and_says_what_is_missing(
        self, podman: Engine, images: Images, image: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        images.build("syncd-without-drivers", "--build-arg=DRIVERS=no")
        found = "from importlib.util import find_spec as find; print(find('mssql_python'), find('oracledb'))"
        assert _python(podman, "syncd-without-drivers", found) == "None None"
        version = podman.do("run", "--rm", *_CONFINED, "--network=none", "syncd-without-drivers", "--version")
        assert version == f"syncd {__version__}"
        base, without, both = (
            podman.inspect(name)["Size"] / 1e6
            for name in ("docker.io/library/python:3.13-slim", "syncd-without-drivers", image)
        )
        with capsys.disabled():
            print(f"\nsyncd {both:.0f} MB, without drivers {without:.0f} MB, its base {base:.0f} MB")  # noqa: T201
        assert both - without > 50

    def test_another_value_of_drivers_is_refused(self, images: Images) -> None:
        with pytest.raises(AssertionError, match="DRIVERS must be yes or no, not oracle"):
            images.build("refused", "--build-arg=DRIVERS=oracle")

    def test_daemon_runs_as_its_user_on_a_read_only_root_until_sigterm(
        self, podman: Engine, image: str, simulator: str, volume: str, configuration: Path
    ) -> None:
        places = (f"--volume={configuration}:/etc/syncd:ro", f"--volume={volume}:{_STATE}")
        beside = ("--network", f"container:{simulator}")
        check = _health_check(podman, image)
        assert podman.run("exec", simulator, *check).returncode != 0, "it is healthy before it has been started"
        doctor = podman.run("run", "--rm", *_CONFINED, *beside, *places, image, "doctor")
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr

        daemon = podman.do("run", "--detach", *_CONFINED, *beside, *places, image)
        # As if an environment names a proxy, which the check must not ask.
        proxied = ("exec", "--env=http_proxy=http://127.0.0.1:9", daemon, *check)
        wait_until(lambda: podman.run(*proxied).returncode == 0, "its health")
        assert podman.run("healthcheck", "run", daemon).returncode == 0
        wait_until(lambda: "P1" in podman.run("exec", daemon, "syncd", "accounts").stdout, "the first run")
        podman.do("exec", daemon, "syncd", "report", "--html", "report.html")

        status = Path(f"/proc/{podman.inspect(daemon)['State']['Pid']}/status").read_text()
        assert f"\nUid:\t{_USER}\t{_USER}\t" in status
        assert f"\nGid:\t{_USER}\t{_USER}\t" in status
        assert "\nCapEff:\t0000000000000000\n" in status
        assert "\nNoNewPrivs:\t1\n" in status
        for place in ("/opt/syncd", "/etc/syncd", "/tmp", "/"):
            assert "Read-only" in podman.run("exec", daemon, "touch", f"{place}/written").stderr, place

        podman.do("stop", "--time=90", daemon)
        said = podman.run("logs", daemon)
        state = podman.inspect(daemon)["State"]
        assert state["ExitCode"] == 0, (state, said.stderr)
        assert "daemon_stopped" in said.stdout + said.stderr
        assert _TOKEN not in said.stdout + said.stderr
        podman.do("rm", daemon)

        # The volume has what the container that is gone knew.
        accounts = podman.do("run", "--rm", *_CONFINED, *beside, *places, image, "accounts")
        assert "P1" in accounts
        kept = Path(podman.inspect(volume)["Mountpoint"])
        assert (kept.stat().st_uid, kept.stat().st_gid, kept.stat().st_mode & 0o777) == (_USER, _USER, 0o700)
        assert {file.name for file in kept.iterdir()} >= {"syncd.db", "report.html"}


@pytest.fixture
def simulator(podman: Engine, image: str) -> Iterator[str]:
    """A container with a simulated OneFile; its loopback is that of the containers beside it."""
    name = podman.do("run", "--detach", *_CONFINED, image, "simulate", "--port=8021")
    wait_until(lambda: podman.run("logs", name).stdout, "the simulator")
    yield name
    podman.do("rm", "--force", "--time=30", name)


@pytest.fixture
def volume(podman: Engine) -> Iterator[str]:
    """A new volume."""
    name = podman.do("volume", "create")
    yield name
    podman.do("volume", "rm", "--force", name)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """What is mounted as /etc/syncd: files that the user of the image can read."""
    (tmp_path / "syncd.toml").write_text(_CONFIGURATION)
    token = tmp_path / "customer-token"
    token.write_text(_TOKEN)
    token.chmod(0o400)
    os.chown(token, _USER, _USER)
    mis = sqlite3.connect(tmp_path / "mis.db")
    mis.executescript("CREATE TABLE placement (misid, name); INSERT INTO placement VALUES ('P1', 'Caffi Môn');")
    mis.close()
    tmp_path.chmod(0o755)
    return tmp_path


def _python(podman: Engine, image: str, program: str) -> str:
    return podman.do("run", "--rm", *_CONFINED, "--network=none", "--entrypoint=python", image, "-c", program)


def _health_check(podman: Engine, image: str) -> list[str]:
    words: list[str] = podman.inspect(image)["Healthcheck"]["Test"]
    assert words[0] == "CMD"
    return words[1:]
