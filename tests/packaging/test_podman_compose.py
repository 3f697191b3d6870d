"""The compose files, run by podman-compose with the image and what represents the image of PostgreSQL."""

import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import httpx
import pytest
from cryptography.fernet import Fernet

from syncd.resources import shipped
from tests.support.polling import wait_until

from .engine import Engine
from .images import represent_postgres

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

_SYNCD: Final = 10001
_POSTGRES: Final = 999
_TOKEN: Final = "simulated-customer-token-for-loopback-use-only"
_CONFIGURATION: Final = """
[onefile]
base_url = "http://127.0.0.1:8021/api/v2.1"
organisation_id = 5740
[source]
{source}
[[feeds]]
name = "placements"
kind = "placements"
query = "SELECT misid AS MISID, name AS Name FROM placement"
"""


@pytest.fixture(scope="module")
def _postgres(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    represent_postgres(podman, tmp_path_factory.mktemp("postgres"))


@pytest.mark.usefixtures("image", "_postgres")
class TestCompose:
    def test_one_college_runs_on_postgresql_and_keeps_its_store(self, podman: Engine, tmp_path: Path) -> None:
        file, ports = _composed("compose.yaml", tmp_path / "syncd")
        _college(file.with_name("etc"), source="")
        password = token_hex()
        secrets = {
            "customer-token": _TOKEN,
            "mis-url": "sqlite:////etc/syncd/mis.db",
            "state-url": f"postgresql+psycopg://syncd:{password}@database/syncd",
            "encryption-key": Fernet.generate_key().decode(),
            "admin-token": token_hex(),
        }
        _secrets(file.parent, secrets, password)

        with _up(podman, file):
            syncd, database = _container(podman, "syncd", "syncd"), _container(podman, "syncd", "database")
            _wait_until_healthy(podman, syncd)
            _wait_until_healthy(podman, database)
            _assert_published(ports["8642"], secrets["admin-token"])
            for name, user in ((syncd, _SYNCD), (database, _POSTGRES)):
                _assert_confined(podman, name, user)
            with _simulator(podman, syncd):
                said = podman.compose(file, "exec", "-T", "syncd", "syncd", "doctor")
                assert "✗" not in said, said
                podman.compose(file, "exec", "-T", "syncd", "syncd", "resync")
                wait_until(lambda: "P1" in podman.do("exec", syncd, "syncd", "accounts"), "the account")
            assert _asked(podman, database, "syncd", "SELECT count(*) FROM account") == "1"

            podman.do("stop", "--time=90", syncd)
            assert podman.inspect(syncd)["State"]["ExitCode"] == 0
            logged = podman.run("logs", syncd)
            assert "daemon_stopped" in logged.stdout + logged.stderr
            for secret in (*secrets.values(), password):
                assert secret not in logged.stdout + logged.stderr
            podman.compose(file, "down", "--timeout=10")

            podman.compose(file, "up", "--detach")
            syncd = _container(podman, "syncd", "syncd")
            _wait_until_healthy(podman, syncd)
            assert "P1" in podman.do("exec", syncd, "syncd", "accounts")

    def test_each_customer_has_a_daemon_and_a_database(self, podman: Engine, tmp_path: Path) -> None:
        file, ports = _composed("compose-customers.yaml", tmp_path / "customers")
        password = token_hex()
        secrets = {}
        for customer in ("north", "south"):
            _college(file.with_name(customer), source='url = "sqlite:////etc/syncd/mis.db"')
            secrets[f"{customer}-customer-token"] = f"{_TOKEN}-{customer}"
            secrets[f"{customer}-state-url"] = f"postgresql+psycopg://syncd:{password}@database/{customer}"
            secrets[f"{customer}-admin-token"] = token_hex()
        _secrets(file.parent, secrets, password)
        (command,) = re.findall(r"(?m)^#   echo '(.*)' > databases.sql", file.read_text(encoding="utf-8"))
        file.with_name("databases.sql").write_text(command)

        with _up(podman, file):
            project = "customers"
            database = _container(podman, project, "database")
            _assert_confined(podman, database, _POSTGRES)
            for name in ("north", "north-standby", "south"):
                daemon = _container(podman, project, name)
                _wait_until_healthy(podman, daemon)
                _assert_confined(podman, daemon, _SYNCD)
            assert len(set(ports.values())) == 3
            _assert_published(ports["8644"], secrets["south-admin-token"])
            for customer in ("north", "south"):
                assert _asked(podman, database, customer, "SELECT count(*) FROM account") == "0"
            assert _asked(podman, database, "syncd", "SELECT to_regclass('account') IS NULL") == "t"


def _composed(name: str, folder: Path) -> tuple[Path, Mapping[str, int]]:
    """Copy a compose file to a new ``folder``, with ports that are free. Returns it, and which port is which."""
    folder.mkdir()
    text = (shipped("config") / name).read_text(encoding="utf-8")
    ports = {}
    for port in re.findall(r"127\.0\.0\.1:(\d+):8642", text):
        with socket.create_server(("127.0.0.1", 0)) as server:
            ports[port] = int(server.getsockname()[1])
        text = text.replace(f"127.0.0.1:{port}:8642", f"127.0.0.1:{ports[port]}:8642")
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name, ports


def _college(folder: Path, *, source: str) -> None:
    folder.mkdir()
    (folder / "syncd.toml").write_text(_CONFIGURATION.format(source=source))
    mis = sqlite3.connect(folder / "mis.db")
    mis.executescript("CREATE TABLE placement (misid, name); INSERT INTO placement VALUES ('P1', 'Caffi Môn');")
    mis.close()
    for file in (folder, *folder.iterdir()):
        os.chown(file, _SYNCD, _SYNCD)


def _secrets(folder: Path, contents: Mapping[str, str], password: str) -> None:
    """Write the files of the secrets, owned and readable as the compose files say."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    for name, content in {**contents, "database-password": password}.items():
        (secrets / name).write_text(f"{content}\n")
        (secrets / name).chmod(0o400)
        owner = _POSTGRES if name == "database-password" else _SYNCD
        os.chown(secrets / name, owner, owner)
    os.chown(secrets, _SYNCD, _SYNCD)


@contextmanager
def _up(podman: Engine, file: Path) -> Iterator[None]:
    try:
        podman.compose(file, "up", "--detach")
        yield
    finally:
        podman.compose(file, "down", "--timeout=10", "--volumes")


@contextmanager
def _simulator(podman: Engine, beside: str) -> Iterator[None]:
    name = podman.do("run", "--detach", "--network", f"container:{beside}", "syncd", "simulate", "--port=8021")
    try:
        wait_until(lambda: podman.run("logs", name).stdout, "the simulator")
        yield
    finally:
        podman.do("rm", "--force", "--time=30", name)


def _container(podman: Engine, project: str, service: str) -> str:
    labels = (f"io.podman.compose.project={project}", f"com.docker.compose.service={service}")
    found = podman.do("ps", "--all", "--format=json", *(f"--filter=label={label}" for label in labels))
    (name,) = {name for each in json.loads(found) for name in each["Names"]}
    return str(name)


def _wait_until_healthy(podman: Engine, name: str) -> None:
    wait_until(lambda: podman.run("healthcheck", "run", name).returncode == 0, f"the health of {name}")


def _assert_published(port: int, token: str) -> None:
    """From outside the container a token is needed."""
    url = f"http://127.0.0.1:{port}/healthz"
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).is_success


def _assert_confined(podman: Engine, name: str, user: int) -> None:
    found: dict[str, Any] = podman.inspect(name)
    status = Path(f"/proc/{found['State']['Pid']}/status").read_text()
    assert f"\nUid:\t{user}\t{user}\t" in status
    assert "\nCapEff:\t0000000000000000\n" in status
    assert "\nNoNewPrivs:\t1\n" in status
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["LogConfig"]["Type"] in {"json-file", "k8s-file"}
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def _asked(podman: Engine, database: str, name: str, query: str) -> str:
    return podman.do("exec", database, "psql", "--username=syncd", f"--dbname={name}", "-At", "-c", query)
