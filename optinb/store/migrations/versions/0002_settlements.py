"""What Appboy says later of unknown batches, and sends in every customer's own time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audiences", sa.Column("clock", sa.String(20), nullable=False, server_default="workspace"))
    op.add_column("batches", sa.Column("settlement", sa.Text))
