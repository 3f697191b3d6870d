"""Debian's PgBouncer in front of a PostgreSQL."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from tests.support.addresses import free_address, listens
from tests.support.polling import wait_until


@contextmanager
def bounced(url: str, **settings: object) -> Iterator[str]:
    """Return the URL of a database behind a PgBouncer with these settings, such as its ``pool_mode``."""
    real = make_url(url)
    server, address = str(real.query["host"]), free_address()
    host, _, port = address.rpartition(":")
    lines = {"listen_addr": host, "listen_port": port, "auth_type": "any", "unix_socket_dir": ""} | settings
    # As root it runs as the server's user: no other may use its socket. That user may not read a folder of pytest's.
    user = [f"--user={Path(server).owner()}"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file, log = Path(folder, "pgbouncer.ini"), Path(folder, "log")
        file.write_text(
            f"[databases]\n{real.database} = host={server} user={real.username}\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
        )
        with log.open("w") as stderr, subprocess.Popen(["/usr/sbin/pgbouncer", *user, file], stderr=stderr) as process:
            try:
                wait_until(lambda: process.poll() is not None or listens(address), "PgBouncer", patience=20)
                assert process.poll() is None, log.read_text()
                yield real.set(host=host, port=int(port), query={}).render_as_string(hide_password=False)
            finally:
                process.terminate()
