"""Alembic's environment: migrations run on the connection, and in the transaction, that the ledger opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
