"""The schema of the state store: which migration it is at, and bringing it up to date with Alembic."""

from typing import Final

from sqlalchemy import Connection, column, inspect, select, table

from syncd.resources import shipped

#: The migration this program works with: the newest in ``migrations``.
NEWEST: Final = "0001"

_VERSION: Final = table("alembic_version", column("version_num"))


def revision_of(connection: Connection) -> str | None:
    """The migration a schema is at; ``None`` if there is no schema yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def upgrade(connection: Connection) -> None:
    """Bring a schema that is at an older migration, or at none, up to the newest."""
    # Loading Alembic takes as long as the rest of most commands, and it is needed only once per version.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # A percent sign in the path would be taken for an interpolation.
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_newer(revision: str | None) -> bool:
    """Whether a schema was left by a later version of this program: migrations are numbered in their order."""
    return revision is not None and revision > NEWEST
