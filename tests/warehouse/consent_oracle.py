"""Who may be written to by the rules alone, in plain Python: of everybody, what was delivered last is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from changed_deliveries import APPS, ENABLED, EXTERNAL, FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from changed_deliveries import Part

Consent = dict[str, bool | None]
_YES, _NO = {"true", "t", "yes", "y", "1", "1.0"}, {"false", "f", "no", "n", "0", "0.0"}


@dataclass
class Known:
    """What one night left known. `uses` by (customer, app); `kept` are denials of merges: (value then, whose).

    `departed`: external user ids of who is gone, `left`: what they had said.
    """

    ever: dict[str, set[str]] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Consent] = field(default_factory=dict)
    uses: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    links: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[tuple[str, str, str], tuple[bool | None, str]] = field(default_factory=dict)
    departed: dict[str, str] = field(default_factory=dict)
    left: dict[str, Consent] = field(default_factory=dict)

    @property
    def shared(self) -> list[tuple[str, str]]:
        """Pairs of customers who have one external user id."""
        ids = [(one, external) for one, external in self.external.items() if external]
        return [(a, b) for a, one in ids for b, other in ids if a < b and one == other]

    def may(self) -> dict[str, set[str]]:
        """By app, the customers who may be written to there."""
        willing = {one for one, flags in self.flags.items() if all(flags[f] is v for f, v in FLAGS.items())}
        fine = {one for one in willing if self.external[one]}
        return {app: {one for one in fine if self.uses.get((one, app))} for app in APPS}


def _people(ids: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Everybody's ids: those that chains of links join."""
    found = {one: frozenset([one]) for one in ids}
    for old, new in links:
        both = found.get(old, frozenset([old])) | found.get(new, frozenset([new]))
        found |= dict.fromkeys(both, both)
    return found


class Oracle:
    """Who may be written to after each night. A correction follows the night before, not what it corrects."""

    def __init__(self) -> None:
        self.before = Known()
        self.now = Known()

    def night(self) -> None:
        """Another day begins."""
        self.before = self.now

    def imported(self, delivery: Mapping[str, list[Part]]) -> None:
        """Takes a delivery that was published."""
        last = self.before
        ever = {table: set(names) for table, names in self.now.ever.items()}
        rows = {table: [row for part in parts for row in part.read()] for table, parts in delivery.items()}
        read = {
            table: [p for p in parts if p.form == "ndjson" or len(set(p.names)) == len(p.names)]
            for table, parts in delivery.items()
        }
        for table, parts in read.items():
            ever.setdefault(table, set()).update(
                name for part in parts for name in part.names if part.form != "ndjson" or part.rows
            )
        now = Known(ever=ever, external=dict(self.now.external), flags=dict(self.now.flags), uses=dict(self.now.uses))
        known_columns = last.ever
        if read.get("customers"):
            mine: dict[str, dict[str, str | None]] = {}
            for row in rows["customers"]:
                if row.get("customer_id"):
                    mine.setdefault(row["customer_id"] or "", row)
            kept_ids = EXTERNAL in known_columns.get("customers", ())
            now.external = {
                one: row.get(EXTERNAL)
                or (last.external.get(one, "") if kept_ids else "")
                or ("" if EXTERNAL in ever["customers"] else one)
                for one, row in mine.items()
            }
            now.flags = {one: {name: _flag(row.get(name)) for name in FLAGS} for one, row in mine.items()}
            for row in rows["customers"]:
                for name in FLAGS:
                    if row.get("customer_id") and _denied(name, said := _flag(row.get(name))):
                        now.flags[row["customer_id"] or ""][name] = said
        carried: set[tuple[str, str, str]] = set()
        now.links = [*last.links, *self._linked(last, now, rows.get("customer_ids", []))]
        person = _people([*now.flags, *last.flags, *last.left], [*now.links, *now.shared])
        if read.get("customers"):
            ids, said = person, last.left | last.flags
            for one, flags in now.flags.items():
                for name in FLAGS:
                    if flags[name] is None:
                        past = [said[i][name] for i in ids[one] if i in said]
                        flags[name] = self._past(name, past, FLAGS[name], "customers", ever)
                        if name in known_columns.get("customers", ()) and flags[name] is not None:
                            carried.add((one, "", name))
                if not now.external[one] and EXTERNAL in known_columns.get("customers", ()):
                    now.external[one] = max((last.external.get(i, "") for i in ids[one]), default="")
        if read.get("app_users"):
            now.uses = {}
            for row in rows["app_users"]:
                key = row.get("customer_id") or "", row.get("app_id") or ""
                if key[0] in now.flags:
                    said = _flag(row.get(ENABLED))
                    now.uses[key] = said if key not in now.uses or said is False else now.uses[key]
            for (one, app), said in now.uses.items():
                if said is None:
                    past = [last.uses[i, app] for i in person[one] if (i, app) in last.uses]
                    now.uses[one, app] = self._past(ENABLED, past, True, "app_users", ever)
                    if ENABLED in known_columns.get("app_users", ()) and now.uses[one, app] is not None:
                        carried.add((one, app, ENABLED))
        now.left = {one: flags for one, flags in (last.left | last.flags).items() if one in now.departed}
        self._stricter(last, now, person, carried)
        for one, _ in now.links:
            now.departed.pop(one, None)
            now.left.pop(one, None)
        self.now = now

    def _past(
        self, name: str, past: list[bool | None], permits: bool, table: str, ever: Mapping[str, set[str]]
    ) -> bool | None:
        """What counts of a value that wasn't delivered: the strictest of the person's last ones."""
        if name not in ever[table]:
            return permits
        known = [value for value in past if value is not None] if name in self.before.ever.get(table, ()) else []
        return (permits if all(value is permits for value in known) else not permits) if known else None

    def _linked(self, last: Known, now: Known, mapping: list[dict[str, str | None]]) -> list[tuple[str, str]]:
        told = [(row["old"] or "", row["new"] or "") for row in mapping]
        gone = last.departed | last.external
        now.departed = {one: external for one, external in gone.items() if one not in now.external}
        holders = {e: [one for one, same in now.external.items() if same == e != ""] for e in now.departed.values()}
        return told + [(old, holders[e][0]) for old, e in now.departed.items() if len(holders[e]) == 1]

    def _stricter(
        self,
        last: Known,
        now: Known,
        person: Mapping[str, frozenset[str]],
        carried: set[tuple[str, str, str]],
    ) -> None:
        """A denial of any id of a person counts for all of them."""
        prior = _people([*last.flags, *now.left], [*last.links, *last.shared])
        mine, theirs = _consent(now), {k: v for k, v in _consent(last).items() if k[0] not in now.flags}
        theirs |= {(one, "", name): value for one, flags in now.left.items() for name, value in flags.items()}
        for key, (value, whose) in last.kept.items():
            one, app, name = key
            said = mine.get(key, "gone")
            other = mine.get((whose, app, name), "gone")
            if said == "gone" or whose not in person.get(one, ()) or (other != "gone" and not _denied(name, other)):
                continue
            if said == value or key in carried:
                now.kept[key] = value, whose
        for (one, app, name), value in mine.items():
            if _denied(name, value) or (one, app, name) in now.kept:
                continue
            sources = []
            for other in person.get(one, frozenset()) - {one}:
                here, there = mine.get((other, app, name)), theirs.get((other, app, name))
                apart = one in last.flags and other in prior and prior[one] != prior[other]
                if _denied(name, here) or (_denied(name, there) and apart):
                    sources.append(other)
            if sources:
                now.kept[one, app, name] = value, min(sources)
        for one, app, name in now.kept:
            if app:
                now.uses[one, app] = False
            else:
                now.flags[one][name] = not FLAGS[name]


def _flag(text: str | None) -> bool | None:
    return None if text is None else True if text.lower() in _YES else False if text.lower() in _NO else None


def _denied(name: str, value: object) -> bool:
    return isinstance(value, bool) and value is not FLAGS.get(name, True)


def _consent(known: Known) -> dict[tuple[str, str, str], bool | None]:
    found = {(one, "", name): value for one, flags in known.flags.items() for name, value in flags.items()}
    return found | {(one, app, ENABLED): value for (one, app), value in known.uses.items()}
