"""A campaign's night may deliver several messages, each under a key that is longer than the campaign's id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Tables that an earlier release made keep 12 characters on SQLite; the migrations before this one make 20 by now.
KEYED = ("audiences", "batches", "confirmations", "code_grants", "reach_days")


def upgrade() -> None:
    op.add_column("audiences", sa.Column("variant", sa.String(60)))
    if op.get_bind().dialect.name != "sqlite":  # which keeps a text of any length in such a column
        for table in KEYED:
            op.alter_column(table, "campaign_id", type_=sa.String(20), existing_type=sa.String(12))
