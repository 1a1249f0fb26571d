"""An id for what a campaign sends in a night, and what Appboy counts of it by day and platform."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from optinb.store.schema import UtcMoment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audiences", sa.Column("send_id", sa.String(64)))
    op.create_table(
        "reach_days",
        sa.Column("app_group_id", sa.String(100), nullable=False),
        sa.Column("template_id", sa.String(100), nullable=False),
        sa.Column("send_id", sa.String(64), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("campaign_id", sa.String(20)),
        sa.Column("run_date", sa.Date),
        sa.Column("sent", sa.Integer),
        sa.Column("direct_opens", sa.Integer),
        sa.Column("total_opens", sa.Integer),
        sa.Column("bounces", sa.Integer),
        sa.Column("unique_recipients", sa.Integer),
        sa.Column("conversions", sa.Integer),
        sa.Column("read_at", UtcMoment, nullable=False),
        sa.Column("said_first", sa.Text),
        sa.PrimaryKeyConstraint("app_group_id", "template_id", "send_id", "day", "platform", name="pk_reach_days"),
    )
    op.create_index("ix_reach_days_campaign_id", "reach_days", ["campaign_id", "run_date"])
