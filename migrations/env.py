"""Alembic's entry: runs the migrations on the connection that syncd hands over."""

from alembic import context

from syncd.state.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
