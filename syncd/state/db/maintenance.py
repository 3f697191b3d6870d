"""Maintenance of the state store: checks, backup, and encrypting its values again."""

import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select, text, tuple_
from sqlalchemy.exc import SQLAlchemyError

from syncd.core.fields import Role
from syncd.errors import StateUnusable
from syncd.state.db import files
from syncd.state.db.store import Store, unusable
from syncd.state.db.tables import account, assignment, change, credential, held, metadata, plan_step

_AT_ONCE = 500
_SEALED = (
    (account, "values"),
    (change, "detail"),
    (change, "message"),
    (held, "detail"),
    (plan_step, "detail"),
    (assignment, "refusal"),
    (credential, "secret"),
)


def check_key(store: Store) -> None:
    """Raises `StateUnusable` if the newest value of a column cannot be decrypted with the configured key."""
    with store.reading() as connection:
        for table, column in _SEALED:
            newest = [each.desc() for each in table.primary_key]
            store.cipher.decrypt_text(connection.scalar(select(table.c[column]).order_by(*newest).limit(1)) or "")


def defects(store: Store) -> Iterator[str]:
    """The store's defects, a sentence each: in its file, tables, encrypted values, and mapping."""
    with store.reading() as connection:
        if store.url.get_backend_name() == "sqlite":
            yield from _check_file(connection)
        for table in metadata.sorted_tables:
            try:
                connection.execute(select(func.count()).select_from(table)).one()
            except SQLAlchemyError as problem:
                raise unusable(store, problem) from problem
        for table, column in _SEALED:
            yield from _check_encrypted(store, connection, table, column)
        yield from _check_mapping(connection)


def count_unreadable(store: Store) -> int:
    """How many values the configured key does not decrypt. Raises `StateUnusable`."""
    with store.reading() as connection:
        return sum(_unreadable(store, connection, table, column) for table, column in _SEALED)


def vacuum(store: Store, _now: datetime) -> None:
    """Have SQLite update the statistics for its query planner, and truncate its write-ahead log.

    PostgreSQL does so by itself. Raises `StateUnusable`.
    """
    if not store.file:
        return
    try:
        with store.engine.connect() as connection:
            # The connection may still be set to read-only.
            connection.info.clear()
            # Not in a transaction: a checkpoint is impossible in one.
            driver: Any = connection.connection.driver_connection
            for what in ("query_only = OFF", "optimize", "wal_checkpoint(TRUNCATE)"):
                driver.execute(f"PRAGMA {what}").close()
    except (SQLAlchemyError, sqlite3.Error) as problem:
        raise StateUnusable(f"The state store {store} could not be tidied: {problem}.") from problem


def backup(store: Store, file: Path) -> None:
    """Copy the store while it is in use, with SQLite's backup or PostgreSQL's pg_dump.

    Only the copy's owner may read it; if root makes it, that is the owner of its folder. Raises `StateUnusable` if
    the file exists or cannot be created, and if there is no store yet.
    """
    if store.revision() is None:
        raise StateUnusable(f"There is no state store {store} yet: nothing to back up.")
    try:
        files.create(file)
    except FileExistsError:
        raise StateUnusable(f"{file} already exists and is not overwritten. Name another file.") from None
    except OSError as problem:
        raise StateUnusable(f"{file} cannot be written: {problem.strerror}.") from None
    try:
        if store.file:
            _copy_sqlite(store.file, file)
        else:
            _dump_postgresql(store, file)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def restore_command(store: Store, file: Path) -> str:
    """Return the command that restores a backup of a PostgreSQL store; empty for SQLite."""
    if store.url.get_backend_name() != "postgresql":
        return ""
    return shlex.join(["pg_restore", "--clean", "--if-exists", "--dbname", _connection_string(store), str(file)])


def reencrypt(store: Store) -> int:
    """Encrypt every value with the first key, so that older keys are no longer needed; returns how many there were.

    Raises `StateUnusable` for a value that no key decrypts; values encrypted before that stay so.
    """
    count = 0
    for table, name in _SEALED:
        column, key = table.c[name], tuple_(*table.primary_key)
        rest = select(*table.primary_key, column).where(column != "").order_by(*table.primary_key).limit(_AT_ONCE)
        batch = rest
        while True:
            with store.begin() as connection:
                rows = connection.execute(batch).all()
                for *number, sealed in rows:
                    anew = store.cipher.encrypt(store.cipher.decrypt(sealed))
                    connection.execute(table.update().where(key == tuple_(*number)).values({name: anew}))
            count += len(rows)
            if not rows:
                break
            batch = rest.where(key > tuple_(*rows[-1][:-1]))
    return count


def _check_file(connection: Connection) -> Iterator[str]:
    for (said,) in connection.execute(text("PRAGMA integrity_check")):
        if said != "ok":
            yield f"SQLite's own check says: {said}."
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"A row of the table {row[0]} refers to a row of {row[2]} that does not exist."


def _check_encrypted(store: Store, connection: Connection, table: Table, column: str) -> Iterator[str]:
    if unreadable := _unreadable(store, connection, table, column):
        yield f"{unreadable} values in {table.name}.{column} cannot be decrypted with the configured encryption key."


def _unreadable(store: Store, connection: Connection, table: Table, column: str) -> int:
    unreadable = 0
    for sealed in connection.execution_options(yield_per=_AT_ONCE).scalars(
        select(table.c[column]).where(table.c[column] != "")
    ):
        try:
            store.cipher.decrypt(sealed)
        except (StateUnusable, ValueError):
            unreadable += 1
    return unreadable


def _check_mapping(connection: Connection) -> Iterator[str]:
    columns = account.c
    for roles in sorted({role.sharing_ids for role in Role}):
        what = f"ID of a {roles[0]}" if roles[0].is_place else "UserID"
        shared = connection.execute(
            select(columns.user_id, func.count())
            .where(columns.user_id.is_not(None), columns.role.in_(roles))
            .group_by(columns.user_id)
            .having(func.count() > 1)
            .order_by(columns.user_id)
        )
        for user_id, count in shared:
            yield f"{count} MISIDs are mapped to the one {what} {user_id}; 'syncd accounts' shows them."


def _copy_sqlite(source: Path, target: Path) -> None:
    try:
        with sqlite3.connect(source) as original, sqlite3.connect(target) as copy:
            original.backup(copy)
        original.close()
        copy.close()
    except sqlite3.Error as problem:
        raise StateUnusable(f"The state store {source} could not be copied: {problem}.") from None


def _connection_string(store: Store) -> str:
    # The driver takes time to load.
    from syncd.state.db.postgresql import connection_string  # noqa: PLC0415

    _, options = store.engine.dialect.create_connect_args(store.engine.url)
    return connection_string(options)


def _dump_postgresql(store: Store, target: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise StateUnusable(
            "PostgreSQL is backed up with pg_dump, which is not on the PATH: install postgresql-client."
        )
    url = store.url
    # The password must not appear in the process list.
    secrets = {"PGPASSWORD": url.password} if isinstance(url.password, str) and url.password else {}
    done = subprocess.run(  # noqa: S603 - the program is found on the PATH, and the URL is the configuration's
        [program, "--format=custom", f"--file={target}", f"--dbname={_connection_string(store)}"],
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it did not say why"])[0]
        raise StateUnusable(f"pg_dump could not copy the state store {store}: {said.rstrip('.')}.")
