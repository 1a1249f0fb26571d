"""The tables of the state store. Migrations create them; a test holds both equal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

# The newest migration. Kept here so that opening a store that is up to date needn't import Alembic.
REVISION = "0009"


class UtcMoment(TypeDecorator[datetime]):
    """A moment in UTC: always with its offset in Python, whatever the database keeps."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no offset; pass moments in UTC")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata: MetaData = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# Groups and campaigns are rows that are never changed: one for each version, and the newest counts.
group_versions: Table[Any] = Table(
    "group_versions",
    metadata,
    Column("key", String(200), primary_key=True),  # the name without regard to case
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", String(200), nullable=False),
    Column("rule_json", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("updated_at", UtcMoment, nullable=False),
)

campaign_versions: Table[Any] = Table(
    "campaign_versions",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("record", Text, nullable=False),
    Column("changed_by", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("changed_at", UtcMoment, nullable=False),
)

# What people say to each other about a campaign; `version` is the one of its record that they had before them.
campaign_comments: Table[Any] = Table(
    "campaign_comments",
    metadata,
    Column("campaign_id", String(12), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("said_by", String(200), nullable=False),
    Column("said_at", UtcMoment, nullable=False),
    Column("body", Text, nullable=False),
)

# Who has a campaign before them now: one row for each open view, which expires unless it is renewed.
campaign_visits: Table[Any] = Table(
    "campaign_visits",
    metadata,
    Column("view", String(32), primary_key=True),
    Column("campaign_id", String(12), nullable=False),
    Column("visitor", String(200), nullable=False),
    Column("is_writing", Boolean, nullable=False),
    Column("seen_at", UtcMoment, nullable=False),
    Index("ix_campaign_visits_campaign_id", "campaign_id"),
)

templates: Table[Any] = Table(
    "templates",
    metadata,
    Column("app_group_id", String(100), primary_key=True),
    Column("id", String(100), primary_key=True),
    Column("name", Text, nullable=False),
    Column("in_appboy", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("changed_at", UtcMoment, nullable=False),
    Column("synced_at", UtcMoment, nullable=False),
)

# What people state of templates: the newest version counts, and one with empty rules takes back those before.
template_rules: Table[Any] = Table(
    "template_rules",
    metadata,
    Column("app_group_id", String(100), primary_key=True),
    Column("template_id", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rules", Text, nullable=False),
    Column("stated_by", String(200), nullable=False),
    Column("stated_at", UtcMoment, nullable=False),
)

# One for each message of a campaign's night. `campaign_id`, here and in what belongs to it, is the message's key: the
# campaign's id for the first message, and "ID.1", "ID.2" and so on for the others.
audiences: Table[Any] = Table(
    "audiences",
    metadata,
    Column("campaign_id", String(20), primary_key=True),
    Column("run_date", Date, primary_key=True),
    Column("campaign_name", String(200), nullable=False),
    Column("app_group_id", String(100), nullable=False),
    Column("template_id", String(100), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("send_at", UtcMoment, nullable=False),
    Column("recipients", Integer, nullable=False),
    Column("waterfall", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("planned_at", UtcMoment, nullable=False),
    Column("cancelled", Text),
    Column("clock", String(20), nullable=False, server_default="workspace"),
    Column("codes", String(400)),  # the key of the pool that its recipients got codes from
    Column("send_id", String(64)),  # what its requests bear, so that Appboy counts them apart; null: nothing
    Column("variant", String(60)),  # which variant of the campaign its message belongs to; null: it has none
    Index("ix_audiences_run_date", "run_date"),
)

batches: Table[Any] = Table(
    "batches",
    metadata,
    Column("campaign_id", String(20), primary_key=True),
    Column("run_date", Date, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("detail", Text, nullable=False),  # the whole state as JSON, with its own fields
    Column("why", Text),  # what the API or the sender said, for counts by reason
    Column("token", Integer),  # of the lease under which it was last marked as sending
    Column("changed_at", UtcMoment, nullable=False),
    Column("settlement", Text),  # what Appboy said later of an unknown batch's recipients, as JSON
    ForeignKeyConstraint(["campaign_id", "run_date"], ["audiences.campaign_id", "audiences.run_date"]),
    Index("ix_batches_by_state", "campaign_id", "run_date", "state", "number"),
)

# What Appboy said of a night's recipients later: a row for each time that it was asked, and the newest counts. Whose
# each verdict is, a sealed file beside the frozen audience says, by places. No key into `audiences`: a plan may be
# replaced by another one.
confirmations: Table[Any] = Table(
    "confirmations",
    metadata,
    Column("campaign_id", String(20), primary_key=True),
    Column("run_date", Date, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("counts", Text, nullable=False),  # ConfirmedCounts as JSON
    Column("asked_by", String(200), nullable=False),
    Column("asked_at", UtcMoment, nullable=False),
)

code_pools: Table[Any] = Table(
    "code_pools",
    metadata,
    Column("key", String(400), primary_key=True),  # the name without regard to case
    Column("name", String(120), nullable=False),
    Column("size", Integer, nullable=False),
    Column("changed_by", String(200), nullable=False),
    Column("changed_at", UtcMoment, nullable=False),
)

codes: Table[Any] = Table(
    "codes",
    metadata,
    Column("pool", String(400), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # in the order of import, from 1
    Column("code", String(64), nullable=False),
    ForeignKeyConstraint(["pool"], ["code_pools.key"]),
    # Across all pools: whoever imports a file twice, under two names, would give each code to two people.
    Index("ix_codes_code", "code", unique=True),
)

# Whose codes are: the numbers `first` to `first + count` are those of the recipients `place` to `place + count`
# (0-based, in file order) of a night's frozen audience. Numbers of a pool that are in no grant are free.
code_grants: Table[Any] = Table(
    "code_grants",
    metadata,
    Column("pool", String(400), primary_key=True),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("campaign_id", String(20), nullable=False),
    Column("run_date", Date, nullable=False),
    Column("place", Integer, nullable=False),
    ForeignKeyConstraint(["pool"], ["code_pools.key"]),
    Index("ix_code_grants_campaign_id", "campaign_id", "run_date", "place"),
)

# What Appboy said of a sample of customers, beside the table of app users, as JSON.
reach_samples: Table[Any] = Table(
    "reach_samples",
    metadata,
    Column("app_group_id", String(100), primary_key=True),
    Column("night", Date, primary_key=True),
    Column("body", Text, nullable=False),
)

# What Appboy counted, by day and platform ("all": of people, whatever their platform), of the requests that bore a
# send_id, which are one campaign's of one night, or of a whole template: then send_id is empty.
reach_days: Table[Any] = Table(
    "reach_days",
    metadata,
    Column("app_group_id", String(100), primary_key=True),
    Column("template_id", String(100), primary_key=True),
    Column("send_id", String(64), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("platform", String(40), primary_key=True),
    Column("campaign_id", String(20)),
    Column("run_date", Date),
    Column("sent", Integer),
    Column("direct_opens", Integer),
    Column("total_opens", Integer),
    Column("bounces", Integer),
    Column("unique_recipients", Integer),
    Column("conversions", Integer),
    Column("read_at", UtcMoment, nullable=False),
    Column("said_first", Text),  # what it said once the day was over, as JSON, where it says something else by now
    Index("ix_reach_days_campaign_id", "campaign_id", "run_date"),
)

runs: Table[Any] = Table(
    "runs",
    metadata,
    Column("run_date", Date, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("started_by", String(200), nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("finished_at", UtcMoment),
    Column("exit_code", Integer),
    Column("summary", Text),
)

leases: Table[Any] = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("token", Integer, nullable=False),  # grows with each taking: an earlier holder is told by a smaller one
    Column("holder", String(200), nullable=False),
    Column("taken_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment),  # null: given back
)

audit_entries: Table[Any] = Table(
    "audit_entries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcMoment, nullable=False),
    Column("who", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
