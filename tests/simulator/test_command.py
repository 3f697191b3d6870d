import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from syncd.simulator import CUSTOMER_TOKEN
from syncd.simulator.command import simulate

PROGRAM = "import typer; from syncd.simulator.command import simulate; typer.run(simulate)"


def _run(*options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command("simulate")(simulate)
    result = CliRunner().invoke(app, list(options))
    return result.exit_code, result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_prints_its_address_serves_and_ends_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"users": [{"OrganisationID": 5740, "Role": 5, "MISID": "A1"}]}))
    options = ["--port", "0", "--seed", str(seed), "--keychain", "--page-cap", "7", "--limiter", "sliding"]
    options += ["--done-status", "200", "--learner-in-assign-path", "--employer-must-be-assigned", "--flags-as-text"]
    options += ["--archived-form", "DateArchived", "--archived-writable", "--refuse-repeated-archiving"]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            assert process.stdout.readline().strip() == f"SYNCD_ONEFILE__CUSTOMER_TOKEN={CUSTOMER_TOKEN}"
            state = httpx.get(url.removesuffix("/api/v2.1") + "/simulator/state").json()
            process.send_signal(number)
            assert process.wait(10) == 0
        finally:
            process.kill()

    assert (state["users"], state["switches"]["page_cap"], state["switches"]["limiter"]) == (1, 7, "sliding")
    assert state["switches"]["done_status"] == 200
    assert (state["switches"]["archived_form"], state["switches"]["archived_learners_read_only"]) == (
        "DateArchived",
        False,
    )
    on = ("learner_in_assign_path", "employer_must_be_assigned", "flags_as_text", "refuse_repeated_archiving")
    for switch in on:
        assert state["switches"][switch] is True
    assert state["organisations"][0]["KeychainCreationForNewUserActive"] is True


@pytest.mark.parametrize("host", ["0.0.0.0", "onefile.example"])  # noqa: S104 - to be refused
def test_it_refuses_to_serve_anything_but_loopback(host: str) -> None:
    code, said = _run("--host", host)

    assert code == 1
    assert said == f"The simulator serves this machine only: {host} is not a loopback address.\n"


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[]", b'{"users": [{"Role": 5}]}', b'{"classrooms": 5}', None], ids=str
)
def test_a_seed_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    seed = tmp_path / "seed.json"
    if content is not None:
        seed.write_bytes(content)

    code, said = _run("--port", "0", "--seed", str(seed))

    assert code == 1
    assert said.startswith(f"The seed {seed} cannot be used: ")
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = _run("--port", str(port))

    assert code == 1
    assert said.startswith(f"Port {port} on 127.0.0.1 cannot be used: ")
