"""Runs migrations inside the transaction that the store has opened; it commits or takes back all of them."""

from __future__ import annotations

from alembic import context

from optinb.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
    render_as_batch=True,
)
context.run_migrations()
