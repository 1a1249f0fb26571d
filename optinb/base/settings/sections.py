"""What can be set: the tables of `optinb.toml` as frozen values."""

from __future__ import annotations

from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct, field

from optinb.base.addresses import is_loopback
from optinb.errors import SettingsError, did_you_mean

FILE_NAME = "optinb.toml"
Platform = Literal["ios", "android", "kindle", "web"]
Engine = Literal["polars", "duckdb", "spark"]
ENGINES: tuple[Engine, ...] = ("polars", "duckdb", "spark")
Table = Literal["customer_ids", "customers", "app_users", "transactions", "events", "redemptions"]
TABLE_NAMES: tuple[Table, ...] = get_args(Table)
PLATFORMS: tuple[Platform, ...] = ("ios", "android", "kindle", "web")
PLATFORM_NAMES: dict[Platform, str] = {"ios": "iPhone", "android": "Android", "kindle": "Kindle", "web": "web"}
LiveContent = Literal["content_blocks", "connected_content", "catalogs", "profile"]
Share = Annotated[float, Meta(ge=0, le=1)]
Days = Annotated[int, Meta(ge=1, le=3650)]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused, values never change."""


class AppSettings(_Section, frozen=True):
    """One app of an app group, as the app-user mapping names it."""

    id: str
    name: str
    platform: Platform
    sdk_from_version: str | None = None


class AppGroupSettings(_Section, frozen=True):
    """An app group: where its API is, who we are there, and which apps belong to it.

    `proxy`: the address of the proxy on the way to the API, or a reference to it; without one no proxy is used, and
    one that the environment names is refused.
    """

    id: str
    name: str
    api: str
    auth: Literal["rest_api_key", "app_group_id"] = "rest_api_key"
    key: str | None = None
    proxy: str | None = None
    apps: tuple[AppSettings, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether the API of this group is a sandbox on this machine."""
        return is_loopback(self.api)

    @property
    def named_api(self) -> str:
        """The address that the settings name, which an approval is of."""
        return self.api

    def platforms(self) -> frozenset[Platform]:
        """The platforms that this group has apps on."""
        return frozenset(app.platform for app in self.apps)

    def apps_on(self, platforms: frozenset[str]) -> tuple[AppSettings, ...]:
        """The apps of this group on one of the given platforms."""
        return tuple(app for app in self.apps if app.platform in platforms)


class RehearsedGroup(AppGroupSettings, frozen=True):
    """An app group whose requests a rehearsal leads to another sandbox than the settings `named`."""

    named: str = ""

    @property
    def named_api(self) -> str:
        """The address that the settings name, which an approval is of."""
        return self.named


class WorkspaceSection(_Section, frozen=True):
    """`[workspace]`: the team, its clock and its money.

    `keep_versions`: nights whose published versions are kept. `hub`: the address of a JupyterHub's API, which is asked
    who is working; without it the machine's login says so. `hub_ca`: the file with the certificate of the authority
    that vouches for the hub, where that isn't a public one. `group`: the group of this machine that shares the folder;
    without one it is its owner's alone.
    """

    time_zone: str = "UTC"
    currency: str = "EUR"
    approvers: tuple[str, ...] = ()
    identity: Literal["login", "asserted"] = "login"
    hub: str | None = None
    hub_ca: str | None = None
    approve_own: bool = False
    state: str | None = None
    keep_versions: Annotated[int, Meta(ge=1, le=3650)] = 14
    group: Annotated[str, Meta(min_length=1)] | None = None


class ImportSection(_Section, frozen=True):
    """`[import]`: how a delivery is read, and its gates.

    `missing`: words that stand for no value, in any case. `max_emptied_share`: of a column's values, those that can't
    be read. `drop_repeated_events`: whether an event without `event_id` that equals one of an earlier delivery is left
    out. `max_age_days`: how old the published delivery, and each table, may be for a night that sends; `max_age`: the
    same for tables that come more rarely. `settle_seconds`: how long a file that is still being written is waited for.
    `columns`: the header under which a column is delivered, by the column's name or by `table.column`; an empty text
    for one that is no longer delivered. The `max_…_change` limit how far what a column holds may move against the
    deliveries before: shares of empty and of true values as a difference (`consent` of the columns that decide who may
    be written to), the number of different values and the median as a share by which they may fall.
    `max_unpacked_gb`: how large a gzip may become.
    """

    required: tuple[str, ...] = ("customers", "app_users")
    max_reject_share: Share = 0.05
    max_emptied_share: Share = 0.05
    missing: tuple[str, ...] = ("NULL", "\\N", "n/a", "None", "nan", "#N/A")
    max_shrink: Share = 0.3
    max_growth: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    max_age_days: Annotated[int, Meta(ge=0, le=3650)] = 2
    future_tolerance_minutes: Annotated[int, Meta(ge=0, le=527_040)] = 60
    drop_repeated_events: bool = True
    settle_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 20.0
    max_age: dict[str, Annotated[int, Meta(ge=0, le=3650)]] = field(default_factory=dict)
    max_ids_per_person: Annotated[int, Meta(ge=2, le=1_000_000)] = 50
    max_consent_change: Share = 0.1
    max_null_change: Share = 0.25
    max_true_change: Share = 0.25
    max_distinct_change: Share = 0.4
    max_median_change: Share = 0.5
    columns: dict[str, str | dict[str, str]] = field(default_factory=dict)
    max_unpacked_gb: Annotated[float, Meta(gt=0, le=10_000)] = 20.0


class SourceSection(_Section, frozen=True):
    """One of `[[sources]]`: an SQL query whose rows become a part of the day's delivery.

    `address`: a reference to an SQLAlchemy address. `name` tells sources of one table apart and is in the file's name.
    """

    table: Table
    query: str
    address: str
    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = "source"
    batch_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 50_000


class LifecycleSection(_Section, frozen=True):
    """`[lifecycle]`: thresholds of the stages in days; what is left out is taken from the data."""

    new_days: Days = 30
    churn_days: Days | None = None
    churn_percentile: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    churn_rhythm: Annotated[float, Meta(ge=1, le=100)] | None = None
    reactivated_days: Days = 30
    value_days: Days = 365
    risk_days: Days | None = None


class ModelsSection(_Section, frozen=True):
    """`[models]`: micro-segments. `layers` split the stages in this order; of spend, rhythm, taste, apps and people."""

    layers: tuple[Literal["spend", "rhythm", "taste", "apps", "people"], ...] = ("spend", "rhythm", "taste", "apps")
    refit_days: Days = 90


class FeatureSection(_Section, frozen=True):
    """One of `[[features]]`: a further figure of every customer, gathered from their purchases or events.

    `of`: the column that is gathered; left out for a count. `where`: columns and the values (one, or a list) that rows
    must have. `days`: only the last so many days.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    source: Literal["purchases", "events"] = field(default="purchases", name="from")
    how: Literal["count", "sum", "mean", "min", "max", "n_unique"] = "count"
    of: str | None = None
    where: dict[str, str | tuple[str, ...]] = {}
    days: Days | None = None
    sentence: str = ""


class SendSection(_Section, frozen=True):
    """`[send]`: how the sender behaves.

    `an_hour` is Appboy's documented limit of requests for an app group, `reserve` the share of it that is left to
    others; `max_refusals` requests in a row that were refused, or got another's answer, stop a campaign.
    `reach_sample`: about how many customers of each app group a night asks Appboy, to see how far the table of app
    users is from it. `recall_minutes`: how long recalling or moving what is scheduled may take. `after_500`: whether a
    request that Appboy answered with 500, 502 or 503 is sent again, as its pages allow, or is unknown.
    """

    window_batches: Annotated[int, Meta(ge=1, le=1000)] = 40
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    late_minutes: Annotated[int, Meta(ge=0, le=1440)] = 15
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    max_tries: Annotated[int, Meta(ge=1, le=1000)] = 8
    max_refusals: Annotated[int, Meta(ge=1, le=100_000)] = 5
    recall_minutes: Annotated[int, Meta(ge=1, le=1440)] = 15
    after_500: Literal["again", "unknown"] = "again"
    reach_sample: Annotated[int, Meta(ge=0, le=50_000)] = 500
    an_hour: Annotated[int, Meta(ge=1, le=100_000_000)] = 250_000
    reserve: Annotated[float, Meta(ge=0, le=0.9)] = 0.02


class ConfirmSection(_Section, frozen=True):
    """`[confirm]`: how the night asks Appboy what became of the messages of earlier nights.

    `minutes`: how long it may ask before it goes on with tonight's audiences; 0: not in the night. In 20 minutes it
    asks about 200,000 recipients at the pace that Appboy allows, and what is left then comes the next night.
    """

    minutes: Annotated[float, Meta(ge=0, le=600)] = 20.0


class EngineSection(_Section, frozen=True):
    """`[engine]`: what counts target groups. `spark_master`: the address of a Spark master, such as `spark://host:7077`.

    Where it is named, every published version is also written in a form that Spark reads.
    """

    default: Engine = "polars"
    spark_master: Annotated[str, Meta(min_length=1)] | None = None


class NetworkSection(_Section, frozen=True):
    """`[network]`: the way to Appboy.

    `outgoing_addresses` are those from which this machine's requests leave, for the IP allow-lists of the keys;
    `plain_http_hosts` the hosts that may be called without TLS, where everybody on the way can read the key.
    """

    outgoing_addresses: tuple[str, ...] = ()
    plain_http_hosts: tuple[str, ...] = ()


class CapSettings(_Section, frozen=True):
    """One of `[[policy.caps]]`: at most so many messages to a customer in any `days` days, or per calendar period.

    `app_group`: id or name of the one whose messages count and are kept back; all together without one.
    """

    messages: Annotated[int, Meta(ge=1, le=1000)]
    days: Annotated[int, Meta(ge=1, le=366)] | None = None
    per: Literal["day", "week", "month"] | None = None
    app_group: str | None = None


class PolicySection(_Section, frozen=True):
    """`[policy]`: what protects customers from too much, and the team from hasty sends.

    `control`: share of the customers of a new campaign that is held out, until somebody says otherwise.
    `global_control`: share of all customers who never get a campaign. `quiet_from`, `quiet_until`: times of day, by
    each customer's own clock. `approval_days`: how long an approval holds. `keys`: approvers' public keys; once there
    is one, only signed approvals count. `template_edited`: what becomes of messages whose template was edited in
    Appboy while they were scheduled. `refuse_live_content`: what no template may have of what Appboy fills in when it
    sends, and nobody can approve.
    """

    control: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    global_control: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    quiet_from: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    quiet_until: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    caps: tuple[CapSettings, ...] = ()
    approval_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    template_edited: Literal["recall", "tell"] = "recall"
    refuse_live_content: tuple[LiveContent, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)


class ServeSection(_Section, frozen=True):
    """`[serve]`: where people find the pages. `address` is what they open, for the links that are sent to them."""

    address: Annotated[str, Meta(pattern=r"^https?://[^\s#]+$")] | None = None


class NotifySection(_Section, frozen=True):
    """`[notify]`: who else is told what becomes of a campaign.

    `command` is started when one is submitted, approved, rejected or commented on, with what happened as JSON on its
    input, and without the keys of the environment; `within_s`: how long it may take.
    """

    command: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    within_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class Settings(_Section, frozen=True):
    """All of `optinb.toml`. `labels`: what people call an attribute, by its name."""

    workspace: WorkspaceSection = field(default_factory=WorkspaceSection)
    app_groups: tuple[AppGroupSettings, ...] = ()
    imports: ImportSection = field(default_factory=ImportSection, name="import")
    sources: tuple[SourceSection, ...] = ()
    lifecycle: LifecycleSection = field(default_factory=LifecycleSection)
    models: ModelsSection = field(default_factory=ModelsSection)
    features: tuple[FeatureSection, ...] = ()
    labels: dict[str, Annotated[str, Meta(min_length=1, max_length=100)]] = field(default_factory=dict)
    send: SendSection = field(default_factory=SendSection)
    confirm: ConfirmSection = field(default_factory=ConfirmSection)
    engine: EngineSection = field(default_factory=EngineSection)
    network: NetworkSection = field(default_factory=NetworkSection)
    policy: PolicySection = field(default_factory=PolicySection)
    serve: ServeSection = field(default_factory=ServeSection)
    notify: NotifySection = field(default_factory=NotifySection)

    @property
    def zone(self) -> ZoneInfo:
        """The workspace's time zone."""
        return ZoneInfo(self.workspace.time_zone)

    def app_group(self, name_or_id: str) -> AppGroupSettings:
        """The app group of that name or id. Raises SettingsError with the nearest known name."""
        for group in self.app_groups:
            if name_or_id in (group.id, group.name):
                return group
        known = [group.name for group in self.app_groups]
        raise SettingsError(
            f"app group {name_or_id!r} isn't in {FILE_NAME}{did_you_mean(name_or_id, known)}"
            if known
            else f"there is no app group in {FILE_NAME}: add an [[app_groups]] table"
        )

    def contact_policy(self) -> PolicySection:
        """The contact policy, with the ids of its app groups."""
        ids = {group.name: group.id for group in self.app_groups}
        caps = [msgspec.structs.replace(c, app_group=ids.get(c.app_group or "", c.app_group)) for c in self.policy.caps]
        return msgspec.structs.replace(self.policy, caps=tuple(caps))

    def app_ids(self) -> frozenset[str]:
        """Every app id of every group."""
        return frozenset(app.id for group in self.app_groups for app in group.apps)
