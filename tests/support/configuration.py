"""A configuration file to try things with."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import Settings, load_settings

GOOD = {
    "[onefile]": 'environment = "practice"\norganisation_id = 5740',
    "[source]": 'url = "sqlite:///mis.db"',
    "[[feeds]]": 'name = "learners"\nrole = "Learner"\nquery = "SELECT 1"',
}
SECRET = "hunter2-жщыю"
USER = f"the user {pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()})"
UNCHANGED: Mapping[str, str] = {}


class Configuration:
    """A file in a folder of its own, which is not the one that syncd is started in, and an environment of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "a college"
        self.file = self.folder / "syncd.toml"
        self._monkeypatch = monkeypatch
        self.folder.mkdir()
        monkeypatch.chdir(folder)
        for variable in [name for name in os.environ if name.upper().startswith("SYNCD_")]:
            monkeypatch.delenv(variable)

    def load(self, changed: Mapping[str, str] = UNCHANGED, /, **variables: str) -> Settings:
        """What a good file gives with these tables in the place of its own, and with these variables set."""
        tables = {**GOOD, **changed}
        self.file.write_text("\n".join(f"{head}\n{tables[head]}" for head in tables), encoding="utf-8")
        with self._monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            return load_settings(self.file)

    def complaint(self, changed: Mapping[str, str] = UNCHANGED, /, **variables: str) -> str:
        """What is said of it, with ``FILE`` for the name of the file; fails the test if nothing is."""
        with pytest.raises(ConfigurationError) as refusal:
            self.load(changed, **variables)
        # Nor may a traceback show what an error underneath had to say.
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
        said = str(refusal.value)
        assert SECRET not in said
        return said.replace(str(self.file), "FILE").replace(str(self.folder), "FOLDER").replace(USER, "USER")
