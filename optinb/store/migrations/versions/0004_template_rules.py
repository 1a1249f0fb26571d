"""What people state of templates, which Appboy's API doesn't tell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from optinb.store.schema import UtcMoment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "template_rules",
        sa.Column("app_group_id", sa.String(100), nullable=False),
        sa.Column("template_id", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("stated_by", sa.String(200), nullable=False),
        sa.Column("stated_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("app_group_id", "template_id", "version", name="pk_template_rules"),
    )
