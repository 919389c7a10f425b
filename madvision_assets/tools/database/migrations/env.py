"""What Alembic runs: our migrations, on the connection that ``schema`` hands over."""

from alembic import context

from madvision_assets.tools.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
