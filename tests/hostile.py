"""A workspace in which everything that people or systems can write tries to do something where it is shown."""

from __future__ import annotations

import csv
import gzip
import json
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from optinb.base.workspace_folder import init_workspace
from optinb.demo import APPROVER, AUTHOR, KEYS, demo_settings
from optinb.rules import attr, did, in_list
from optinb.sandbox import AppGroup, Key, World
from optinb.sandbox.sample import write_sample
from optinb.sandbox.setup import demo_world, push_campaign
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DAY = date(2026, 11, 23)
# What a terminal would act on; the last two are bytes above ASCII that do the same.
ANSI = "\x1b[2J\x1b]8;;http://evil.example\x07click\x1b]8;;\x07"
ACTING = frozenset(map(chr, [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066, 0x200F]))
LONG = "L" * 5_000


class Trap:
    """A server that counts who asks it for something: nobody, unless a value was taken for markup."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []

    def image(self, place: str) -> str:
        """Markup that asks this server for a picture, and runs a script where it gets none."""
        return f'<img src=http://127.0.0.1:{self.port}/{place} onerror=__fired="{place}">'

    def values(self, place: str) -> tuple[str, ...]:
        """What can stand in a cell of a delivery."""
        here = f"http://127.0.0.1:{self.port}/{place}"
        return (
            self.image(place),
            f"<script>__fired='{place}'</script>",
            f"\"'></title></style></script></textarea><svg onload=__fired='{place}'>",
            f"![x]({here}-md) [y](javascript:__fired='{place}') <{here}>",
            f"$\\href{{javascript:__fired='{place}'}}{{x}}$ `<b>` ***x***\n\n# {self.image(place)}",
            f"x{ANSI}",
            "x\x9b31m\u202egnp.exe",
            f"=cmd|'/c calc'!A1 =HYPERLINK(\"{here}-xl\")",
            "@SUM(1+1)*cmd|'/c calc'!A0",
            "../../../../etc/passwd",
            "..\\..\\C:\\con",
            "{{ 7*7 }}{% raw %}${x}{{${first_name}}}",
            LONG,
        )


@contextmanager
def trap() -> Iterator[Trap]:
    """Listens until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Trap(server.server_port)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def hostile_world(trap: Trap, *, keys: Mapping[str, str] = KEYS) -> World:
    """The demo's app groups, with a template whose name and texts are hostile; `keys` by their variable's name."""
    groups = []
    for group in demo_world().app_groups.values():
        template = push_campaign(
            template_name(trap, group.name),
            platforms=("ios", "android"),
            title=f"{trap.image('title')} {ANSI}",
            alert="Hi {{api_trigger_properties.${first_name} | default: 'x'}} " + trap.image("alert"),
            app_group_id=group.id,
            tags=(trap.image("tag"),),
            description=trap.image("description"),
        )
        groups.append(
            AppGroup(
                id=group.id,
                name=group.name,
                keys=(Key(keys[f"OPTINB_{group.name.upper()}_KEY"]),),
                campaigns=(template, *group.campaigns),
            )
        )
    return World(tuple(groups))


def template_name(trap: Trap, app_group: str) -> str:
    return f"{trap.image('template')} {ANSI} ../../{app_group}"


def names(trap: Trap) -> dict[str, str]:
    """Names of the campaign, the group and the list: of printable characters, as is asked of them."""
    return {kind: f"../{trap.image(kind)} **b** =1+1" for kind in ("campaign", "group", "list")}


def deliver(folder: Path, trap: Trap) -> list[str]:
    """Writes a delivery with hostile values in it; returns the ids of customers that are hostile themselves."""
    write_sample(folder.parent, customers=300, days=300, run_date=DAY, bad_rows=False)
    with (folder / "customers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ids = dict(zip((row["customer_id"] for row in rows[::3]), trap.values("id"), strict=False))
    for n, row in enumerate(rows):
        for column in ("first_name", "city", "loyalty_tier", "acquisition_channel"):
            values = trap.values(column)
            row[column] = values[n % len(values)]
        row["favourite <b>colour</b>"] = row[trap.image("header")] = trap.image("attribute")
    rows[1]["city"] = "a\x00b"
    _write(folder / "customers.csv", _renamed(rows, ids))
    with (folder / "app_users.csv").open(newline="", encoding="utf-8") as file:
        _write(folder / "app_users.csv", _renamed(list(csv.DictReader(file)), ids))
    path = folder / "transactions.csv.gz"
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        bought = _renamed(list(csv.DictReader(file)), ids)
    for n, row in enumerate(bought):
        row["product"] = trap.values("product")[n % 9]
        row["category"] = trap.values("category")[n % 5]
    _write(path, bought)
    path = folder / "events.ndjson.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        seen = _renamed([json.loads(line) for line in file], ids)
    for n, row in enumerate(seen):
        row["properties"] = {**row["properties"], trap.image("property"): trap.values("event")[n % 9]}
        if n % 9 == 0:
            row["name"] = trap.image("event-name")
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in seen)
    return list(ids.values())


def _renamed(rows: list[dict[str, Any]], ids: dict[str, str]) -> list[dict[str, Any]]:
    return [{**row, "customer_id": ids.get(row["customer_id"], row["customer_id"])} for row in rows]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def prepare(root: Path, api: str, trap: Trap) -> list[str]:
    """A workspace with everything hostile, an approved campaign for the night, and one that waits.

    Returns the ids of its hostile customers that were imported.
    """
    # one at a time, so that a request has the same number in each run
    init_workspace(root, settings=demo_settings(api).replace("[send]\n", "[send]\nconcurrency = 1\n"))
    ids = deliver(root / "inbox" / DAY.isoformat(), trap)
    name = names(trap)
    with open_workspace(root, user=AUTHOR) as ws:
        ws.import_delivery(DAY)
        ws.model(DAY)
        ws.templates.sync()
        ws.lists.save(name["list"], [one for one in ids if one.isprintable() and len(one) < 500])
        ws.groups.save(name["group"], attr("country").one_of(["DE", "AT", "CH", "FR", "NL"]) | in_list(name["list"]))
        ws.groups.save(
            "Buyers of it", did("purchase").where(attr("category") == trap.values("category")[0]).at_least(1)
        )
        template = template_name(trap, "Shop")
        for campaign in (name["campaign"], name["campaign"] + " waits"):
            ws.campaigns.submit(
                {
                    "name": campaign,
                    "app_group": "Shop",
                    "template": template,
                    "group": name["group"],
                    "control": 0.1,
                    "schedule": {"date": DAY, "at": "18:30"},
                    "notes": f"{trap.image('notes')} **bold** {ANSI}",
                    "properties": {"first_name": {"attribute": "first_name", "default": trap.image("default")}},
                }
            )
        known = set(ws.customers().select("customer_id").collect()["customer_id"])
    with open_workspace(root, user=APPROVER) as ws:
        ws.campaigns.approve(
            name["campaign"], seen=ws.campaigns.preview(name["campaign"]), comment=f"{trap.image('comment')} {ANSI}"
        )
    return [one for one in ids if one in known]
