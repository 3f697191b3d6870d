"""The unit of systemd: what it hands over is a key that there is, and every section's secrets can be handed over."""

import re
from pathlib import Path
from typing import Any

import pytest

from syncd.settings import Settings
from syncd.web.connections import ConnectionLimits

_REPOSITORY = Path(__file__).parents[2]
_UNIT = (_REPOSITORY / "config" / "syncd.service").read_text(encoding="utf-8")


def _sections() -> dict[str, Any]:
    return {name: field.annotation for name, field in Settings.model_fields.items()}


def test_each_credential_is_loaded_and_handed_over_as_the_file_of_a_secret() -> None:
    handed_over = dict(re.findall(r"^#?Environment=SYNCD_(\w+)_FILE=%d/(\S+)$", _UNIT, re.MULTILINE))
    loaded = dict(re.findall(r"^#?LoadCredential=(\S+):/etc/syncd/(\S+)$", _UNIT, re.MULTILINE))
    assert loaded == {name: name for name in handed_over.values()}
    secrets = {
        f"{section}__{key}".upper() for section, its in _sections().items() for key in getattr(its, "SECRETS", ())
    }
    assert handed_over.keys() <= secrets
    assert {key.partition("__")[0] for key in handed_over} == {key.partition("__")[0] for key in secrets}
    assert {"NOTIFY__URLS", "STATE__URL"} <= handed_over.keys()


def test_it_keeps_memory_as_the_image_does() -> None:
    dockerfile = (_REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"MALLOC_ARENA_MAX=\d+", _UNIT) == re.findall(r"MALLOC_ARENA_MAX=\d+", dockerfile) != []


@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_a_credential_it_cannot_do_without_has_an_empty_one_behind_it(name: str) -> None:
    unit = (_REPOSITORY / "config" / name).read_text(encoding="utf-8")
    loaded = re.findall(r"^LoadCredential=(\S+):", unit, re.MULTILINE)
    # systemd takes no value that is empty; the line break is not part of a secret.
    assert re.findall(r"^SetCredential=(\S+)$", unit, re.MULTILINE) == [rf"{each}:\n" for each in loaded] != []


@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_it_needs_no_package_beside_systemd_and_a_shell(name: str) -> None:
    unit = (_REPOSITORY / "config" / name).read_text(encoding="utf-8")
    assert set(re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE)) == {"/opt/syncd/bin/syncd", "/bin/sh"}


@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_it_has_descriptors_for_every_client_of_the_admin_port_and_many_for_runs(name: str) -> None:
    unit = (_REPOSITORY / "config" / name).read_text(encoding="utf-8")
    (descriptors,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    assert int(descriptors) >= 8 * ConnectionLimits().connections


@pytest.mark.parametrize("name", ["syncd.service", "syncd@.service"])
def test_it_is_started_again_however_it_has_ended(name: str) -> None:
    unit = (_REPOSITORY / "config" / name).read_text(encoding="utf-8")
    # To "on-failure", an end by SIGHUP or SIGTERM is none.
    assert re.findall(r"^Restart=(.+)$", unit, re.MULTILINE) == ["always"]
    # A reload waits until the daemon says that it is ready.
    assert re.findall(r"^Type=(.+)$", unit, re.MULTILINE) == ["notify"]
