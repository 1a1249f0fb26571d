"""Reading `optinb.toml`: every complaint names the line of the file and the remedy."""

from __future__ import annotations

import logging
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import msgspec.inspect

from optinb.base.addresses import problem_of_api, problem_of_host, problem_of_hub, problem_of_outgoing, problem_of_proxy
from optinb.base.people import folded
from optinb.base.settings.identity import SERVICE, is_reference
from optinb.base.settings.sections import FILE_NAME, TABLE_NAMES, Settings, SourceSection
from optinb.errors import SettingsError, did_you_mean

_log: logging.Logger = logging.getLogger(__name__)

# What earlier releases read, by its table, and why it is no setting any more.
_GONE = {
    ("models", "most_clusters"): "micro-segments are cut by figures on one scale, 12 to 30 in all",
}
NOT_HERE = (
    'must not be in this file; put it in the environment or the keyring and write "env:NAME" or "keyring:SERVICE/NAME"'
)
# Numbers, and whatever an app's build appends to them after a sign of its own.
_VERSION = r"[vV]?[0-9]+(\.[0-9]+)*([-+_ (].*)?"


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
    _leave_out_gone(raw, complain)
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise complain.validation(error) from error
    _check(settings, complain)
    return settings


def _leave_out_gone(raw: dict[str, Any], complain: _Complaint) -> None:
    """Takes out what was a setting once, so that an old file is read on, and tells of it."""
    for (table, key), why in _GONE.items():
        section = raw.get(table)
        if isinstance(section, dict) and section.pop(key, None) is not None:
            _log.warning("%s", complain(f"{table}.{key}", f"decides nothing any more: {why}; take the line out"))


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
    _check_people(settings, complain)
    for table in settings.imports.required:
        if table not in TABLE_NAMES:
            raise complain("import.required", f"{table!r} is no table{did_you_mean(table, TABLE_NAMES)}")
    for table in settings.imports.max_age:
        if table not in TABLE_NAMES:
            raise complain(f"import.max_age.{table}", f"{table!r} is no table{did_you_mean(table, TABLE_NAMES)}")
    _check_columns(settings.imports.columns, complain)
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
            if not is_reference(group.key):
                raise complain(f"{at}.key", f"the key itself {NOT_HERE}")
        if group.proxy is not None and not is_reference(group.proxy):
            if "@" in group.proxy:
                raise complain(f"{at}.proxy", f"an address with a password {NOT_HERE}")
            if problem := problem_of_proxy(group.proxy):
                raise complain(f"{at}.proxy", problem)
        for j, app in enumerate(group.apps):
            _once(seen, app.id, f"{at}.apps[{j}].id", complain)
            if app.sdk_from_version is not None and not re.fullmatch(_VERSION, app.sdk_from_version.strip()):
                raise complain(
                    f"{at}.apps[{j}].sdk_from_version",
                    f'{app.sdk_from_version!r} is no version; write one such as "3.2.0", or leave it out',
                )
    _check_sources(settings.sources, complain)
    _check_policy(settings, complain)


def _check_people(settings: Settings, complain: _Complaint) -> None:
    """That everybody who may approve is a person, named once, with a key of their own, and how it's told who works."""
    workspace, keys = settings.workspace, settings.policy.keys
    for path, names in (("workspace.approvers", workspace.approvers), ("policy.keys", tuple(keys))):
        seen: dict[str, str] = {}
        for name in names:
            if not folded(name):
                raise complain(path, f"{name!r} is no name; write who it is, or leave it out")
            if folded(name).startswith(SERVICE):
                raise complain(path, f"{name!r} is a service of the hub, and only a person can approve; take it out")
            if folded(name) in seen:
                raise complain(
                    path,
                    f"{seen[folded(name)]!r} and {name!r} are one person, since a name counts whatever its case and "
                    "the spaces around it; keep one",
                )
            seen[folded(name)] = name
    owners: dict[str, str] = {}
    for name, key in keys.items():
        if (other := owners.setdefault(key.strip(), name)) != name:
            raise complain(
                "policy.keys",
                f"{other!r} and {name!r} have the same key, so that one of them can sign for both; make one for each "
                "with `optinb campaigns key`",
            )
    if workspace.hub is not None:
        if workspace.identity == "asserted":
            raise complain(
                "workspace.hub", 'a hub is asked only where identity is "login"; write that, or leave hub out'
            )
        if problem := problem_of_hub(workspace.hub, plain_http_hosts=settings.network.plain_http_hosts):
            raise complain("workspace.hub", problem)
    if workspace.hub_ca is not None and not PurePath(workspace.hub_ca).is_absolute():
        raise complain("workspace.hub_ca", f"{workspace.hub_ca!r} must be the whole path of a file, from the root on")


def _check_columns(columns: Mapping[str, str | dict[str, str]], complain: _Complaint) -> None:
    """That the tables exist and nothing is empty; which columns there are, only the warehouse knows."""
    for key, value in columns.items():
        at = f"import.columns.{key}"
        if isinstance(value, dict) and key not in TABLE_NAMES:
            raise complain(at, f"{key!r} is no table{did_you_mean(key, TABLE_NAMES)}")
        prefix, dot, name = key.partition(".")
        near = did_you_mean(prefix, TABLE_NAMES)
        if dot and prefix not in TABLE_NAMES and "did you mean" in near:
            raise complain(at, f"{prefix!r} is no table{near}")
        for part in (name if dot else key, *(value if isinstance(value, dict) else ())):
            if not part.strip():
                raise complain(at, "a column has no name; write the name of one, such as push_opt_in")


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
        if not is_reference(source.address):
            raise complain(f"{at}.address", f"an address holds a password and {NOT_HERE}")
        other = seen.setdefault((source.table, source.name), at)
        if other != at:
            raise complain(at, f"{other} brings {source.table} under the same name; give each a name of its own")


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
            path = re.sub(r"(\[[^\]]*\]|\.?[^.\[]+)$", "", path)  # [...]: some value of a table of names
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


def line_numbers(text: str) -> dict[str, int]:
    """Maps a path such as `app_groups[0].apps[1].id` to its 1-based line in a TOML text.

    Reads headers and keys only, which is all that a complaint needs.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line)
        if header:
            prefix = ""
            parts = header[2].split(".")
            for k, part in enumerate(parts):
                base = f"{prefix}.{part}" if prefix else part
                if header[1] == "[[" and k == len(parts) - 1:
                    counts[base] = counts.get(base, -1) + 1
                prefix = f"{base}[{counts[base]}]" if base in counts else base
            lines.setdefault(prefix, number)
            continue
        key = re.match(r"\s*([\w\-]+)\s*=", line)
        if key:
            lines.setdefault(f"{prefix}.{key[1]}" if prefix else key[1], number)
    return lines
