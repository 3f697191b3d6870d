"""The compose file: it names only what exists, and gives nobody more than they need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.resources import shipped
from syncd.settings import Settings, load_settings
from tests.support.configuration import GOOD

from .checkout import REPOSITORY

_DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
_COMPOSE: dict[str, Any] = yaml.safe_load((shipped("config") / "compose.yaml").read_text(encoding="utf-8"))
_SYNCD, _DATABASE = _COMPOSE["services"]["syncd"], _COMPOSE["services"]["database"]
_either = pytest.mark.parametrize("service", [_SYNCD, _DATABASE], ids=["syncd", "database"])


def test_what_it_sets_is_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {
        "customer-token": "token",
        "mis-url": "postgresql+psycopg://reader:secret@mis.example/mis",
        "state-url": "postgresql+psycopg://syncd:secret@database/syncd",
        "encryption-key": "key",
        "admin-token": "a token, long enough",
    }
    assert set(_SYNCD["secrets"]) == contents.keys()
    for name, content in contents.items():
        (tmp_path / name).write_text(f"{content}\n")
    (tmp_path / "syncd.toml").write_text(
        "\n".join(f"{head}\n{table}" for head, table in GOOD.items() if "mis" not in table)
    )
    for name, value in re.findall(r"(SYNCD_\w+__\w+)=(\S+)", _DOCKERFILE):
        monkeypatch.setenv(name, value)
    for name, value in _SYNCD["environment"].items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path)))

    settings = load_settings(tmp_path / "syncd.toml")

    assert settings.state.url.get_secret_value() == contents["state-url"]
    assert settings.admin.address == ("0.0.0.0", 8642)  # noqa: S104 - within the container
    assert settings.onefile.customer_token.get_secret_value() == contents["customer-token"]
    assert settings.admin.token.get_secret_value() == contents["admin-token"]


def test_its_database_is_the_one_that_the_secrets_are_said_to_name() -> None:
    text = (shipped("config") / "compose.yaml").read_text(encoding="utf-8")
    user, name = (_DATABASE["environment"][each] for each in ("POSTGRES_USER", "POSTGRES_DB"))
    assert f"postgresql+psycopg://{user}:PASSWORD@database/{name}" in text
    assert _SYNCD["depends_on"]["database"]["condition"] == "service_healthy"
    assert f"--username={user}" in _DATABASE["healthcheck"]["test"]
    assert f"--dbname={name}" in _DATABASE["healthcheck"]["test"]


@_either
def test_service_has_a_read_only_root_and_no_privileges(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("user", _last("USER")) not in {"root", "0", "0:0"}
    assert "privileged" not in service
    assert_log_is_bounded(service)


def test_secrets_are_files_and_nothing_else_holds_one() -> None:
    assert {secret["file"] for secret in _COMPOSE["secrets"].values()} == {
        f"./secrets/{name}" for name in _COMPOSE["secrets"]
    }
    assert {*_SYNCD["secrets"], *_DATABASE["secrets"]} == _COMPOSE["secrets"].keys()
    secrets = {name for section, model in Settings.model_fields.items() for name in _secrets(model.annotation)}
    for service in (_SYNCD, _DATABASE):
        for name, value in service["environment"].items():
            if name.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]
            assert name.rpartition("__")[2].lower() not in secrets


def _secrets(section: Any) -> frozenset[str]:
    found: frozenset[str] = getattr(section, "SECRETS", frozenset())
    return found


def test_what_the_image_keeps_is_kept_and_it_may_finish_its_calls() -> None:
    assert f"syncd:{_last('VOLUME')}" in _SYNCD["volumes"]
    assert "./etc:/etc/syncd:ro" in _SYNCD["volumes"]
    assert {"syncd", "database", "socket"} == _COMPOSE["volumes"].keys()
    assert int(_SYNCD["stop_grace_period"].removesuffix("s")) > 30
    (port,) = _SYNCD["ports"]
    assert port == f"127.0.0.1:{_last('EXPOSE')}:{_last('EXPOSE')}"
    # PostgreSQL is on no other network.
    assert _DATABASE["networks"] == ["inside"]
    assert _COMPOSE["networks"]["inside"]["internal"] is True


def assert_log_is_bounded(service: dict[str, Any]) -> None:
    """Docker's default keeps every line for ever, and podman does not have Docker's 'local'."""
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def _last(instruction: str) -> str:
    given: str = re.findall(rf"(?m)^{instruction} (\S+)$", _DOCKERFILE)[-1]
    return given
