"""What the daemon accepts when it reads its configuration again, and what it refuses until a restart."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from threading import Event

import pytest
import structlog

from syncd.errors import ConfigurationError
from syncd.settings import load_settings
from syncd.wiring.daemon import DaemonConfigFile
from tests.support.stores import open_store

from .conftest import College


@pytest.fixture
def file(college: College) -> Iterator[DaemonConfigFile]:
    """The configuration of a daemon that has started."""
    path = college.folder / "syncd.toml"
    with (
        closing(open_store(f"sqlite:///{college.folder / 'syncd.db'}")) as store,
        closing(DaemonConfigFile(path, load_settings(path), store, structlog.get_logger(), Event())) as made,
    ):
        yield made


def test_reload_accepts_keys_of_state_that_need_no_restart(
    file: DaemonConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_STATE__KEEP_DAYS", "3")
    monkeypatch.setenv("SYNCD_STATE__AUTO_UPGRADE", "false")

    file.reread()

    assert (file.settings.state.keep, file.settings.state.auto_upgrade) == (timedelta(days=3), False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state.url", "sqlite:///other.db"),
        ("state.encryption_key", "x" * 43 + "="),
        ("admin.listen", "127.0.0.1:8643"),
        ("log.level", "debug"),
    ],
)
def test_reload_refuses_keys_that_need_a_restart(
    file: DaemonConfigFile, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    before = file.settings
    monkeypatch.setenv(f"SYNCD_{key.upper().replace('.', '__')}", value)

    with pytest.raises(ConfigurationError, match=f"{key} cannot change while the daemon runs"):
        file.reread()

    assert file.settings is before
