"""Alembic's entry: migrations run on the connection, and in the transaction, given to them."""

from alembic import context

from bounced.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
