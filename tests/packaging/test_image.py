"""The Dockerfile's own steps, followed in a fresh Debian, for want of a container engine.

What this does not try: the image of Python, whose Python is another, and the engine itself.
"""

import os
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.support.polling import wait_until

from .dockerfile import Stage, read_dockerfile
from .machine import Contained, Machine, children, contained, copy_of, debian, download

_REPOSITORY = Path(__file__).parents[2]
_TOKEN = "simulated-customer-token-for-loopback-use-only"
_CONFIGURATION = """
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
_BUILD, _FINAL = read_dockerfile(_REPOSITORY / "Dockerfile")


def test_no_secret_and_nothing_unexpected_gets_into_the_image() -> None:
    copied = [
        word for stage in (_BUILD, _FINAL) for each in stage.instructions if each.name == "COPY" for word in each.words
    ]
    taken = {line[1:] for line in (_REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {word for word in copied if not word.startswith((".", "/", "--from"))} == taken
    assert _FINAL.last("USER").given not in {"root", "0"}
    text = (_REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert "ARG" not in {each.name for stage in (_BUILD, _FINAL) for each in stage.instructions}
    assert "TOKEN" not in text.upper()


def test_the_image_overrides_nothing_of_the_configuration() -> None:
    set_there = {name for each in _FINAL.instructions if each.name == "ENV" for name in each.given.split()}
    assert not [name for name in set_there if name.startswith("SYNCD_") and "__" in name]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The image: what its last stage leaves behind."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    base = debian(folder / "build")
    final = copy_of(base, folder / "image")
    backend = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    download(_REPOSITORY / "requirements.lock", backend, base.root / "wheels")
    base.follow(_BUILD, _REPOSITORY, {})
    final.follow(_FINAL, _REPOSITORY, {_BUILD.name: base})
    return final


@pytest.fixture
def container(machine: Machine, tmp_path: Path) -> Iterator[Contained]:
    """A container of it, its root read-only, with a volume and a configuration."""
    volume, configuration = tmp_path / "volume", tmp_path / "configuration"
    volume.mkdir(mode=0o700)
    configuration.mkdir()
    user = int(_number_of(_FINAL))
    # A new volume has the owner that the image gives its folder.
    assert machine.path("/var/lib/syncd").stat().st_uid == user
    os.chown(volume, user, user)
    (configuration / "syncd.toml").write_text(_CONFIGURATION)
    token = configuration / "customer-token"
    token.write_text(_TOKEN)
    token.chmod(0o400)
    os.chown(token, user, user)
    mis = sqlite3.connect(configuration / "mis.db")
    mis.executescript("CREATE TABLE placement (misid, name); INSERT INTO placement VALUES ('P1', 'Caffi Môn');")
    mis.close()
    (place,) = _FINAL.last("VOLUME").words
    with contained(machine, {place: volume, "/etc/syncd": configuration}) as container:
        yield container


def _number_of(stage: Stage) -> str:
    words = next(each.given for each in stage.instructions if "useradd" in each.given).split()
    return words[words.index("--uid") + 1]


@pytest.mark.debian
def test_the_image_runs_as_nobody_special_from_a_root_that_nobody_can_write_to(
    container: Contained, tmp_path: Path
) -> None:
    entry, arguments = _FINAL.last("ENTRYPOINT").words, _FINAL.last("CMD").words
    _, _, health = _FINAL.last("HEALTHCHECK").given.partition("CMD ")
    asks = _FINAL.last("HEALTHCHECK")._replace(given=health).words

    assert container.run("id", "-u").stdout.strip() == _number_of(_FINAL)
    for place in ("/opt/syncd", "/etc/syncd", "/tmp", "/"):
        assert "Read-only" in container.run("touch", f"{place}/written").stderr, place
    assert container.run(*entry, "--version").stdout.startswith("syncd ")
    assert container.run(*asks).returncode != 0, "it is well before it has been started"

    with container.started(*entry, "simulate", "--port", "8021") as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        checked = container.run(*entry, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        with container.started(*entry, *arguments) as daemon:
            # As where an environment names a proxy, which has no business with it.
            wait_until(lambda: container.run(*asks, http_proxy="http://127.0.0.1:9").returncode == 0, "its health")
            wait_until(lambda: "P1" in container.run(*entry, "accounts").stdout, "the first run")
            reported = container.run(*entry, "report", "--html", "report.html")
            assert reported.returncode == 0, reported.stderr
            (first,) = children(daemon.pid)
            assert Path(f"/proc/{first}/status").read_text().count(f"\nUid:\t{_number_of(_FINAL)}\t") == 1
            assert _FINAL.last("STOPSIGNAL").given == SIGTERM.name
            os.kill(first, SIGTERM)
            said, _ = daemon.communicate(timeout=60)
            assert daemon.returncode == 0, said
    assert "daemon_stopped" in said
    assert _TOKEN not in said
    assert {file.name for file in (tmp_path / "volume").iterdir()} >= {"syncd.db"}


@pytest.mark.debian
def test_the_image_brings_no_installer_and_no_source(machine: Machine) -> None:
    files = {file.name for file in machine.path("/opt/syncd").rglob("*")}
    assert "pip" not in files
    # Where nothing can be written, whatever is not compiled is compiled again and again.
    assert {file.stem for file in machine.path("/opt/syncd").rglob("syncd/*.py")} <= {
        name.split(".")[0] for name in files if name.endswith(".pyc")
    }
    assert not machine.path("/src").exists()
    assert not list(machine.root.rglob("customer-token*"))
    size = sum(file.lstat().st_size for file in machine.path("/opt/syncd").rglob("*"))
    assert size < 150_000_000, f"{size / 1e6:.0f} MB beside Python"
