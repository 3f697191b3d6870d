"""Several customers on one server: the compose file and the unit name only what exists, and mix nobody up."""

import re
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.resources import shipped
from syncd.settings import load_settings
from tests.support.configuration import GOOD

from .test_compose import assert_log_is_bounded

_TEXT = (shipped("config") / "compose-customers.yaml").read_text(encoding="utf-8")
_COMPOSE: dict[str, Any] = yaml.safe_load(_TEXT)
_DAEMONS = {name: service for name, service in _COMPOSE["services"].items() if service["image"] == "syncd"}
_SERVICES = pytest.mark.parametrize("service", _COMPOSE["services"].values(), ids=_COMPOSE["services"])


@pytest.mark.parametrize("name", _DAEMONS)
def test_what_it_sets_is_a_configuration_and_the_customers_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = name.removesuffix("-standby")
    given = _DAEMONS[name]
    for secret in given["secrets"]:
        assert secret.startswith(f"{customer}-")
        url = f"postgresql+psycopg://syncd:secret@database/{customer}"
        (tmp_path / secret).write_text(url if secret.endswith("url") else secret)
    (tmp_path / "syncd.toml").write_text("\n".join(f"{head}\n{table}" for head, table in GOOD.items()))
    for variable, value in given["environment"].items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))

    settings = load_settings(tmp_path / "syncd.toml")

    assert settings.onefile.customer_token.get_secret_value() == f"{customer}-customer-token"
    assert settings.admin.token.get_secret_value() == f"{customer}-admin-token"
    assert f"CREATE DATABASE {customer};" in _TEXT
    assert settings.state.url.get_secret_value().replace("secret", "PASSWORD") in _TEXT
    assert given["volumes"] == [f"./{customer}:/etc/syncd:ro"]


def test_two_of_one_customer_are_alike_but_for_their_port() -> None:
    first, second = _DAEMONS["north"], _DAEMONS["north-standby"]
    assert {**first, "ports": None} == {**second, "ports": None}
    ports = [port for service in _DAEMONS.values() for port in service["ports"]]
    assert len(set(ports)) == len(ports)
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:8642", port) for port in ports)


@_SERVICES
def test_service_has_a_read_only_root_and_no_privileges(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert_log_is_bounded(service)
    assert {*service["secrets"]} <= _COMPOSE["secrets"].keys()


def test_the_unit_confines_a_daemon_as_the_one_for_a_single_customer_does() -> None:
    one, each = (_settings_of(name) for name in ("syncd.service", "syncd@.service"))
    # A key that stands there several times counts as often.
    theirs = {line for line in each if "/etc/syncd" not in line and "%S" not in line and "state-url" not in line}
    ours = {line for line in one if "/etc/syncd" not in line and "%S" not in line}
    assert {line.replace(" for %i", "").replace("syncd/%i", "syncd") for line in theirs} == ours


def test_unit_passes_each_customer_its_own_files_as_valid_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line.lstrip("#") for line in _settings_of("syncd@.service", commented_too=True)]
    handed = dict(line.removeprefix("LoadCredential=").split(":") for line in lines if line.startswith("LoadCred"))
    assert handed == {name: f"/etc/syncd/%i/{name}" for name in handed}
    variables = dict(
        line.removeprefix("Environment=").split("=") for line in lines if line.startswith("Environment=SYNCD_")
    )
    assert variables.pop("SYNCD_CONFIG") == "/etc/syncd/%i/syncd.toml"
    assert {value.removeprefix("%d/") for value in variables.values()} == handed.keys()
    for name in handed:
        (tmp_path / name).write_text(
            "sqlite:///here.db"
            if name.endswith("url")
            else "json://example.org"
            if name.endswith("urls")
            else f"{name}-of-north"
        )
    (tmp_path / "syncd.toml").write_text(
        "\n".join(f"{head}\n{table}" for head, table in GOOD.items() if "mis" not in table)
    )
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value.replace("%d", str(tmp_path)))
    assert load_settings(tmp_path / "syncd.toml").onefile.customer_token.get_secret_value() == "customer-token-of-north"


def _settings_of(unit: str, *, commented_too: bool = False) -> list[str]:
    text = (shipped("config") / unit).read_text(encoding="utf-8")
    RawConfigParser(strict=False).read_string(text)
    return re.findall(r"^#?[A-Z]\w+=.*$" if commented_too else r"^[A-Z]\w+=.*$", text, re.MULTILINE)
