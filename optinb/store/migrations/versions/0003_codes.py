"""Pools of single-use promotion codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from optinb.store.schema import UtcMoment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audiences", sa.Column("codes", sa.String(400)))
    op.create_table(
        "code_pools",
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("changed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_code_pools"),
    )
    op.create_table(
        "codes",
        sa.Column("pool", sa.String(400), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("pool", "number", name="pk_codes"),
        sa.ForeignKeyConstraint(["pool"], ["code_pools.key"], name="fk_codes_code_pools"),
    )
    op.create_index("ix_codes_code", "codes", ["code"], unique=True)
    op.create_table(
        "code_grants",
        sa.Column("pool", sa.String(400), nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("campaign_id", sa.String(20), nullable=False),
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("pool", "first", name="pk_code_grants"),
        sa.ForeignKeyConstraint(["pool"], ["code_pools.key"], name="fk_code_grants_code_pools"),
    )
    op.create_index("ix_code_grants_campaign_id", "code_grants", ["campaign_id", "run_date", "place"])
