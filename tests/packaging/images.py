"""The image of syncd, built, and what represents the images that it and the compose files are based on."""

import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

from .checkout import planted_checkout
from .engine import Engine
from .machine import debian, download

_PYTHON: Final = "docker.io/library/python:3.13-slim"
_POSTGRES: Final = "docker.io/library/postgres:17"
#: Debian 13 has Python 3.13 and PostgreSQL 17.
_SUITE: Final = "trixie"
#: The packages were downloaded before, by a pip that knows the ways out of this machine.
_PIP: Final = """\
[global]
no-index = true
find-links = /wheels
root-user-action = ignore
"""
_POSTGRES_FILE: Final = f"""\
FROM {_PYTHON}
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql postgres \\
    && apt-get update && apt-get install --yes --no-install-recommends postgresql \\
    && install --directory --owner 999 --group 999 --mode 700 /var/lib/postgresql/data \\
    && install --directory --owner 999 --group 999 --mode 3777 /var/run/postgresql
ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data
COPY entrypoint /usr/local/bin/entrypoint
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["sh", "/usr/local/bin/entrypoint"]
CMD ["postgres"]
"""
#: What the image of PostgreSQL does with the variables, the secret and the folder that the compose files give it.
_POSTGRES_ENTRYPOINT: Final = """\
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --encoding=UTF8 --locale=C.UTF-8 \\
        --auth-local=trust --auth-host=scram-sha-256
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=" start
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --file="$file"
    done
    pg_ctl --wait stop
fi
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Images:
    """Where the images of syncd are built, and from what."""

    engine: Engine
    context: Path
    wheels: Path

    def build(self, tag: str, *options: str) -> None:
        """Build the image of syncd. Raises `AssertionError` with what the engine said if it cannot."""
        done = self.engine.build(self.context, tag, f"--volume={self.wheels}:/wheels:ro", *options)
        assert done.returncode == 0, done.stdout + done.stderr


def prepare(engine: Engine, folder: Path) -> Images:
    """Make what represents the image of Python, the packages, and a checkout with planted files."""
    root = debian(folder / "python", _SUITE).root
    (root / "etc/pip.conf").write_text(_PIP)
    _import(engine, root, _PYTHON)
    context = planted_checkout(folder / "context")
    project = tomllib.loads((context / "pyproject.toml").read_text(encoding="utf-8"))
    backend: Sequence[str] = project["build-system"]["requires"]
    wheels = folder / "wheels"
    wheels.mkdir()
    download(context / "requirements-drivers.lock", backend, wheels)
    return Images(engine, context, wheels)


def represent_postgres(engine: Engine, folder: Path) -> None:
    """Make what represents the image of PostgreSQL."""
    (folder / "Dockerfile").write_text(_POSTGRES_FILE)
    (folder / "entrypoint").write_text(_POSTGRES_ENTRYPOINT)
    done = engine.build(folder, _POSTGRES)
    assert done.returncode == 0, done.stdout + done.stderr


def _import(engine: Engine, root: Path, name: str) -> None:
    archive = root.with_suffix(".tar")
    subprocess.run(["tar", f"--directory={root}", "--create", f"--file={archive}", "."], check=True)
    engine.do("import", str(archive), name)
    archive.unlink()
    rmtree(root)
