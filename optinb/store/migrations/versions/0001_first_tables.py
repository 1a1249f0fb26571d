"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from optinb.store.schema import UtcMoment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "group_versions",
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("rule_json", sa.Text, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("updated_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name="pk_group_versions"),
    )
    op.create_table(
        "campaign_versions",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("changed_by", sa.String(200), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("changed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_campaign_versions"),
    )
    op.create_table(
        "templates",
        sa.Column("app_group_id", sa.String(100), nullable=False),
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("in_appboy", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("changed_at", UtcMoment, nullable=False),
        sa.Column("synced_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("app_group_id", "id", name="pk_templates"),
    )
    op.create_table(
        "audiences",
        sa.Column("campaign_id", sa.String(20), nullable=False),
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("campaign_name", sa.String(200), nullable=False),
        sa.Column("app_group_id", sa.String(100), nullable=False),
        sa.Column("template_id", sa.String(100), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("send_at", UtcMoment, nullable=False),
        sa.Column("recipients", sa.Integer, nullable=False),
        sa.Column("waterfall", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("planned_at", UtcMoment, nullable=False),
        sa.Column("cancelled", sa.Text),
        sa.PrimaryKeyConstraint("campaign_id", "run_date", name="pk_audiences"),
    )
    op.create_index("ix_audiences_run_date", "audiences", ["run_date"])
    op.create_table(
        "batches",
        sa.Column("campaign_id", sa.String(20), nullable=False),
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("token", sa.Integer),
        sa.Column("changed_at", UtcMoment, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "run_date", "number", name="pk_batches"),
        sa.ForeignKeyConstraint(
            ["campaign_id", "run_date"],
            ["audiences.campaign_id", "audiences.run_date"],
            name="fk_batches_audiences",
        ),
    )
    op.create_index("ix_batches_by_state", "batches", ["campaign_id", "run_date", "state", "number"])
    op.create_table(
        "runs",
        sa.Column("run_date", sa.Date, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_by", sa.String(200), nullable=False),
        sa.Column("started_at", UtcMoment, nullable=False),
        sa.Column("finished_at", UtcMoment),
        sa.Column("exit_code", sa.Integer),
        sa.Column("summary", sa.Text),
        sa.PrimaryKeyConstraint("run_date", "attempt", name="pk_runs"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("taken_at", UtcMoment, nullable=False),
        sa.Column("expires_at", UtcMoment),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("at", UtcMoment, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_entries"),
    )
