"""Alembic's environment: migrations run on the connection, and in the transaction, that the ledger opened."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version_table"])
with context.begin_transaction():
    context.run_migrations()
