"""Samples of customers whom Appboy was asked about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reach_samples",
        sa.Column("app_group_id", sa.String(100), nullable=False),
        sa.Column("night", sa.Date, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("app_group_id", "night", name="pk_reach_samples"),
    )
