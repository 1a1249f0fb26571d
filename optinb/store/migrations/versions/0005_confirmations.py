"""What became of the recipients of accepted requests, as Appboy said when it was asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from optinb.store.schema import UtcMoment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "confirmations",
        sa.Column("campaign_id", sa.String(20), nullable=False),
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asked_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "run_date", "version", name="pk_confirmations"),
    )
