"""The settings of a workspace: `optinb.toml`, checked on opening.

Secrets are never in the file: a key is named by reference (`env:NAME` or `keyring:SERVICE/NAME`) and read when it is
needed. Every complaint names the line of the file and the remedy.
"""

from __future__ import annotations

import getpass
import math
import os
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
import msgspec.inspect
from msgspec import Meta, Struct, field

from optinb.addresses import is_loopback, problem_of_api, problem_of_host, problem_of_outgoing
from optinb.errors import SettingsError, did_you_mean
from optinb.toml_lines import line_numbers

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "optinb.toml"
Platform = Literal["ios", "android", "kindle", "web"]
Engine = Literal["polars", "duckdb", "spark"]
ENGINES: tuple[Engine, ...] = ("polars", "duckdb", "spark")
Table = Literal["customers", "app_users", "transactions", "events"]
TABLE_NAMES: tuple[Table, ...] = ("customers", "app_users", "transactions", "events")
PLATFORMS: tuple[Platform, ...] = ("ios", "android", "kindle", "web")
NOT_HERE = (
    'must not be in this file; put it in the environment or the keyring and write "env:NAME" or "keyring:SERVICE/NAME"'
)
# Numbers, and whatever an app's build appends to them after a sign of its own.
_VERSION = r"[vV]?[0-9]+(\.[0-9]+)*([-+_ (].*)?"
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
    """An app group: where its API is, who we are there, and which apps belong to it."""

    id: str
    name: str
    api: str
    auth: Literal["rest_api_key", "app_group_id"] = "rest_api_key"
    key: str | None = None
    apps: tuple[AppSettings, ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether the API of this group is a sandbox on this machine."""
        return is_loopback(self.api)

    def platforms(self) -> frozenset[Platform]:
        """The platforms that this group has apps on."""
        return frozenset(app.platform for app in self.apps)

    def apps_on(self, platforms: frozenset[str]) -> tuple[AppSettings, ...]:
        """The apps of this group on one of the given platforms."""
        return tuple(app for app in self.apps if app.platform in platforms)


class WorkspaceSection(_Section, frozen=True):
    """`[workspace]`: the team, its clock and its money. `keep_versions`: nights whose published versions are kept."""

    time_zone: str = "UTC"
    currency: str = "EUR"
    approvers: tuple[str, ...] = ()
    identity: Literal["login", "asserted"] = "login"
    approve_own: bool = False
    state: str | None = None
    keep_versions: Annotated[int, Meta(ge=1, le=3650)] = 14


class ImportSection(_Section, frozen=True):
    """`[import]`: the gates of a delivery."""

    required: tuple[str, ...] = ("customers", "app_users")
    max_reject_share: Share = 0.05
    max_shrink: Share = 0.3
    max_growth: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0
    max_age_days: Annotated[int, Meta(ge=0, le=3650)] = 2
    future_tolerance_minutes: Annotated[int, Meta(ge=0, le=527_040)] = 60


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
    """`[models]`: micro-segments. `layers`: those to use, of spend, rhythm, taste, apps and people."""

    layers: tuple[Literal["spend", "rhythm", "taste", "apps", "people"], ...] = ("spend", "rhythm", "taste", "apps")
    most_clusters: Annotated[int, Meta(ge=2, le=9)] = 5
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
    others; `max_refusals` requests refused in a row stop a campaign.
    """

    window_batches: Annotated[int, Meta(ge=1, le=1000)] = 40
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    late_minutes: Annotated[int, Meta(ge=0, le=1440)] = 15
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    max_tries: Annotated[int, Meta(ge=1, le=1000)] = 8
    max_refusals: Annotated[int, Meta(ge=1, le=100_000)] = 5
    an_hour: Annotated[int, Meta(ge=1, le=100_000_000)] = 250_000
    reserve: Annotated[float, Meta(ge=0, le=0.9)] = 0.02


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

    `global_control`: share of all customers who never get a campaign. `quiet_from`, `quiet_until`: times of day, by
    each customer's own clock. `approval_days`: how long an approval holds. `keys`: approvers' public keys; once there
    is one, only signed approvals count.
    """

    global_control: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    quiet_from: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    quiet_until: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    caps: tuple[CapSettings, ...] = ()
    approval_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    keys: dict[str, str] = field(default_factory=dict)


class Settings(_Section, frozen=True):
    """All of `optinb.toml`."""

    workspace: WorkspaceSection = field(default_factory=WorkspaceSection)
    app_groups: tuple[AppGroupSettings, ...] = ()
    imports: ImportSection = field(default_factory=ImportSection, name="import")
    sources: tuple[SourceSection, ...] = ()
    lifecycle: LifecycleSection = field(default_factory=LifecycleSection)
    models: ModelsSection = field(default_factory=ModelsSection)
    features: tuple[FeatureSection, ...] = ()
    send: SendSection = field(default_factory=SendSection)
    engine: EngineSection = field(default_factory=EngineSection)
    network: NetworkSection = field(default_factory=NetworkSection)
    policy: PolicySection = field(default_factory=PolicySection)

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


def load_settings(path: Path) -> Settings:
    """Reads and checks a settings file.

    Raises SettingsError naming file, line, value and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SettingsError(
            f"{path} isn't there: this folder is not a workspace yet; make one with `optinb init {path.parent}`"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} isn't UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}; it must be a file that you may read") from error
    return parse_settings(text, source=str(path))


def parse_settings(text: str, *, source: str = FILE_NAME) -> Settings:
    """Checks the text of a settings file; `source` is named in complaints."""
    try:
        raw = tomllib.loads(text, parse_float=_finite)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source}: not valid TOML: {error}; texts need quotes") from error
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from error
    complain = _Complaint(text, source)
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise complain.validation(error) from error
    _check(settings, complain)
    return settings


def _finite(text: str) -> float:
    # nan is neither below nor above any bound, so that it would switch a gate off unnoticed
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} can't be a setting; write a number")
    return value


def _check(settings: Settings, complain: _Complaint) -> None:
    """What types can't say: zones, addresses, references, and that no name stands twice."""
    try:
        ZoneInfo(settings.workspace.time_zone)
    except (ValueError, OSError, KeyError) as error:
        raise complain(
            "workspace.time_zone",
            f"{settings.workspace.time_zone!r} is no time zone; write an IANA name such as 'Europe/Berlin'",
        ) from error
    if settings.workspace.state is not None:
        _check_state(settings.workspace.state, complain)
    for table in settings.imports.required:
        if table not in TABLE_NAMES:
            raise complain("import.required", f"{table!r} is no table{did_you_mean(table, TABLE_NAMES)}")
    for field_name, problem_of in (("outgoing_addresses", problem_of_outgoing), ("plain_http_hosts", problem_of_host)):
        for text in getattr(settings.network, field_name):
            if problem := problem_of(text):
                raise complain(f"network.{field_name}", problem)
    seen: dict[str, str] = {}
    for i, group in enumerate(settings.app_groups):
        at = f"app_groups[{i}]"
        _once(seen, group.id, f"{at}.id", complain)
        _once(seen, group.name, f"{at}.name", complain)
        if problem := problem_of_api(group.api, plain_http_hosts=settings.network.plain_http_hosts):
            raise complain(f"{at}.api", problem)
        if group.auth == "rest_api_key":
            if group.key is None:
                raise complain(
                    at, 'an app group with auth = \'rest_api_key\' needs key = "env:NAME" or "keyring:SERVICE/NAME"'
                )
            if not _is_reference(group.key):
                raise complain(f"{at}.key", f"the key itself {NOT_HERE}")
        for j, app in enumerate(group.apps):
            _once(seen, app.id, f"{at}.apps[{j}].id", complain)
            if app.sdk_from_version is not None and not re.fullmatch(_VERSION, app.sdk_from_version.strip()):
                raise complain(
                    f"{at}.apps[{j}].sdk_from_version",
                    f'{app.sdk_from_version!r} is no version; write one such as "3.2.0", or leave it out',
                )
    _check_sources(settings.sources, complain)
    _check_policy(settings, complain)


def _check_policy(settings: Settings, complain: _Complaint) -> None:
    policy, known = settings.policy, [name for group in settings.app_groups for name in (group.id, group.name)]
    if (policy.quiet_from is None) != (policy.quiet_until is None):
        raise complain("policy", 'quiet_from and quiet_until go together, such as "22:00" and "08:00"')
    for i, cap in enumerate(policy.caps):
        at = f"policy.caps[{i}]"
        if (cap.days is None) == (cap.per is None):
            raise complain(at, 'give either days = 7, for any seven days in a row, or per = "day", "week" or "month"')
        if cap.app_group is not None and cap.app_group not in known:
            raise complain(
                f"{at}.app_group", f"{cap.app_group!r} is no app group here{did_you_mean(cap.app_group, known)}"
            )


def _check_state(state: str, complain: _Complaint) -> None:
    if not state.strip():
        raise complain("workspace.state", "must not be empty; leave it out for state.sqlite in this folder")
    # the user information is read as SQLAlchemy does, for which a password may hold a slash
    if re.match(r"[\w+.\-]+://[^/:@]*:[^@]*@", state) or re.search(r"[?&](ssl)?password=", state):
        raise complain("workspace.state", f"an address with its password {NOT_HERE}")


def _check_sources(sources: tuple[SourceSection, ...], complain: _Complaint) -> None:
    seen: dict[tuple[str, str], str] = {}
    for i, source in enumerate(sources):
        at = f"sources[{i}]"
        if not source.query.strip():
            raise complain(f"{at}.query", "must not be empty; write the SELECT whose rows are to be delivered")
        if not _is_reference(source.address):
            raise complain(f"{at}.address", f"an address holds a password and {NOT_HERE}")
        other = seen.setdefault((source.table, source.name), at)
        if other != at:
            raise complain(at, f"{other} brings {source.table} under the same name; give each a name of its own")


def _is_reference(text: str) -> bool:
    """Whether a text names a secret instead of being one."""
    return re.fullmatch(r"env:\w+|keyring:[^/]+/.+", text) is not None


def _once(seen: dict[str, str], name: str, path: str, complain: _Complaint) -> None:
    if not name.strip():
        raise complain(path, "must not be empty")
    if name in seen and seen[name].rsplit(".", 1)[0] != path.rsplit(".", 1)[0]:
        raise complain(path, f"{name!r} is already used by {seen[name]}; every id and name may stand once")
    seen.setdefault(name, path)


class _Complaint:
    """Makes SettingsErrors that name the line on which a value stands."""

    def __init__(self, text: str, source: str) -> None:
        self._lines = line_numbers(text)
        self._source = source

    def __call__(self, path: str, what: str) -> SettingsError:
        return SettingsError(f"{self._source}, line {self._line(path)}: {path}: {what}")

    def validation(self, error: msgspec.ValidationError) -> SettingsError:
        """The complaint for what the types refuse."""
        message, _, where = str(error).partition(" - at `$")
        path = where.strip("`").lstrip(".")
        unknown = re.search(r"unknown field `(.+?)`", message)
        if unknown:
            known = [f.encode_name for f in _table(path).fields]
            full = f"{path}.{unknown[1]}" if path else unknown[1]
            return self(full, f"{unknown[1]!r} is no setting here{did_you_mean(unknown[1], known)}")
        missing = re.search(r"missing required field `(.+?)`", message)
        if missing:
            return self(path, f"{missing[1]!r} is missing; add it")
        choice = re.search(r"[Ii]nvalid enum value '(.*)'", message)
        if choice:
            table, _, key = path.rpartition(".")
            allowed = next(f.type for f in _table(table).fields if f.encode_name == key)
            values = allowed.values if isinstance(allowed, msgspec.inspect.LiteralType) else ()
            return self(path, f"{choice[1]!r} isn't known here; write one of {', '.join(map(repr, values))}")
        return self(path or "the file", message[0].lower() + message[1:])

    def _line(self, path: str) -> int:
        while path and path not in self._lines:
            path = re.sub(r"(\[\d+\]|\.?[^.\[]+)$", "", path)
        return self._lines.get(path, 1)


def _table(path: str) -> msgspec.inspect.StructType:
    """The kind of table that stands at a path such as `app_groups[...].apps[...]`."""
    found = msgspec.inspect.type_info(Settings)
    for part in re.sub(r"\[.*?\]", "", path).split("."):
        fields = {f.encode_name: f.type for f in found.fields} if isinstance(found, msgspec.inspect.StructType) else {}
        found = fields.get(part, found)
        found = found.item_type if isinstance(found, msgspec.inspect.VarTupleType) else found
    if not isinstance(found, msgspec.inspect.StructType):
        raise TypeError(f"{path} is no table of the settings")
    return found


def read_secret(reference: str) -> str:
    """The secret behind `env:NAME` or `keyring:SERVICE/NAME`. Raises SettingsError that names the reference only."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        remedy = f"set the environment variable {name}"
    elif kind == "keyring":
        import keyring
        import keyring.errors

        service, _, user = name.partition("/")
        remedy = f"store it with `keyring set {service} {user}`"
        try:
            value = keyring.get_password(service, user)
        except keyring.errors.KeyringError as error:
            raise SettingsError(f"the keyring can't be read for {reference!r}: {error}; {remedy}") from error
    else:
        raise SettingsError(f"{reference!r} is no reference to a secret; write env:NAME or keyring:SERVICE/NAME")
    if not value or not value.strip():
        raise SettingsError(f"the key {reference!r} isn't there; {remedy}")
    return value.strip()


def current_user(settings: Settings) -> str:
    """Who is working: the JupyterHub or machine login, or OPTINB_USER where the settings let it be asserted.

    The machine's login is the name of the process's user id, whatever LOGNAME or USER say. A hub's name counts only
    beside the hub's token; on a hub all people may share one user id, so who may set the environment of somebody
    else's kernel there (the hub's administrator) may work under that name. Raises SettingsError when there is no name.
    """
    if settings.workspace.identity == "asserted":
        name = os.environ.get("OPTINB_USER", "").strip()
        if not name:
            raise SettingsError(
                'identity is "asserted", but the environment variable OPTINB_USER is not set; set it to your name'
            )
        return name
    if os.environ.get("JUPYTERHUB_API_TOKEN") and (name := os.environ.get("JUPYTERHUB_USER", "").strip()):
        return name
    try:
        import pwd
    except ImportError:  # not on Windows
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise SettingsError(
            f"the user id {os.getuid()} has no login name on this machine, so nobody can be told to be working; add "
            "it to the machine's users"
        ) from error
