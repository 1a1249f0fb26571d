"""Comments on campaigns, and who has one before them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaign_comments",
        sa.Column("campaign_id", sa.String(12), nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("said_by", sa.String(200), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "number", name="pk_campaign_comments"),
    )
    op.create_table(
        "campaign_visits",
        sa.Column("view", sa.String(32), nullable=False),
        sa.Column("campaign_id", sa.String(12), nullable=False),
        sa.Column("visitor", sa.String(200), nullable=False),
        sa.Column("is_writing", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("view", name="pk_campaign_visits"),
    )
    op.create_index("ix_campaign_visits_campaign_id", "campaign_visits", ["campaign_id"])
