"""Makes the workspace that `workspace-0.1.tar.xz` holds: a week of nights on sixty customers, against the sandbox.

    python tests/upgrade/make_workspace.py workspace-0.1.tar.xz /srv/optinb

The folder, which must not exist, is where the workspace lies meanwhile: its reports and journal name it.

The committed archive was made with version 0.1.0, before its schema first changed, and is never made again: later
versions are tested against it. Of each further version that is released, one of its own is made and kept beside it.
Dates, customers and what they do are fixed; ids of requests are random, so that two archives differ in their bytes.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from datetime import date, datetime, time, timedelta
from pathlib import Path

from stated_templates import state_any_time

import optinb
from optinb import attr, did, in_group, in_list, nightly, received
from optinb.base.settings import parse_settings
from optinb.base.workspace_folder import init_workspace
from optinb.demo import APPROVER, AUTHOR, KEYS, SCHEDULER, demo_settings
from optinb.sandbox import Fault, Sandbox, demo_world

FIRST, NIGHTS = date(2026, 11, 16), 7  # a Monday
NEXT = FIRST + timedelta(days=NIGHTS)
PLACEHOLDER = "http://127.0.0.1:1"  # what the settings call the sandbox, whose port nobody knows before
CREATE = "/campaigns/trigger/schedule/create"
DAILY, CODES, ONCE = "Daily hello", "Club codes", "Fair, once"
FORGOTTEN = 13
SETTINGS = """
[[policy.caps]]
messages = 3
days = 7
"""

OPTED_OUT = frozenset(range(7, 61, 9))  # 7, 16, 25, 34, 43, 52
BLOCKED, TEST = frozenset({11, 29}), frozenset({5, 47})
PUSH_OFF = frozenset({3, 20, 38})


def customer(number: int) -> str:
    """The id by which IT knows a customer; some begin with zeros."""
    return f"{number:04d}"


def external(number: int) -> str:
    """The id by which Appboy knows the same customer."""
    number = 59 if number == 60 else number  # two customers of IT's are one person of Appboy's
    return f"ext-{(number * 7919) % 9973:04d}-{number}"


def customers(numbers: range, *, broken: str = "") -> str:
    """customers.csv; `broken` is a further line that can't be read."""
    head = (
        "customer_id,external_user_id,registered_at,country,language,time_zone,gender,birth_date,"
        "push_opt_in,is_blocked,is_test,first_name,points\n"
    )
    rows = [
        f"{customer(n)},{external(n)},2026-0{1 + n % 9}-11T08:00:00+01:00,{'AT' if n % 5 == 0 else 'DE'},de,"
        f"{'Europe/Lisbon' if n % 10 == 0 else ''},{'f' if n % 2 else 'm'},{1960 + n % 40}-05-17,"
        f"{_flag(n not in OPTED_OUT)},{_flag(n in BLOCKED)},{_flag(n in TEST)},"
        f"{'' if n % 12 == 0 else f'Anna{n}'},{n * 10}\n"
        for n in numbers
    ]
    return head + "".join(rows) + broken


def app_users(numbers: range) -> str:
    """app_users.csv: everybody has the shop, every second one the club too."""
    head = "customer_id,app_id,push_enabled,app_version,first_used_at,last_used_at\n"
    rows = [
        f"{customer(n)},{app},{_flag(n not in PUSH_OFF)},{'3.0.0' if n == 44 else '3.9.0'},2026-10-01,2026-11-01\n"
        for n in numbers
        for app in (("shop-ios", "club-android") if n % 2 == 0 else ("shop-ios",))
    ]
    return head + "".join(rows)


def transactions(day: date) -> str:
    """transactions.csv of what was bought the day before; each third night one of the day before comes corrected."""
    before = day - timedelta(days=1)
    head = "transaction_id,customer_id,occurred_at,amount,currency,quantity,product,category\n"
    rows = [
        f"T-{before}-{n},{customer(n)},{before}T1{n % 10}:05:00+01:00,{5 + n}.50,EUR,1,P{n % 4},"
        f"{'shoes' if n % 3 else 'hats'}\n"
        for n in range(1 + day.day % 4, 61, 4)
        if n != FORGOTTEN
    ]
    if day.day % 3 == 0 and day > FIRST:
        older = before - timedelta(days=1)
        who = 1 + before.day % 4
        rows.append(f"T-{older}-{who},{customer(who)},{older}T18:00:00+01:00,1.00,EUR,1,,\n")
    return head + "".join(rows)


def events(day: date) -> str:
    """events.ndjson of the day before; one app tells further properties."""
    before = day - timedelta(days=1)
    rows = [
        {"customer_id": customer(n), "occurred_at": f"{before}T{8 + n % 12:02d}:{n % 60:02d}:30Z", "name": name}
        | ({"value": n / 2, "properties": {"page": f"p{n % 3}"}} if n % 4 == 0 else {})
        for n in range(1, 61)
        for name in (("open", "view") if n % 3 == 0 else ("open",))
        if (n + day.day) % 2 == 0 and n != FORGOTTEN
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def deliver(root: Path, day: date, *, numbers: range = range(1, 61)) -> None:
    """Puts the delivery of a night into the inbox."""
    folder = root / "inbox" / day.isoformat()
    folder.mkdir(parents=True)
    broken = f"{customer(61)},ext-61,not a time,DE,de,,f,1990-01-01,true,false,false,Broken,1\n"
    (folder / "customers.csv").write_text(customers(numbers, broken=broken if day.day == 18 else ""))
    (folder / "app_users.csv").write_text(app_users(numbers))
    (folder / "transactions.csv").write_text(transactions(day))
    (folder / "events.ndjson").write_text(events(day))


def at(day: date, hour: int) -> str:
    """An hour of a day in the workspace's zone, as OPTINB_NOW takes it."""
    zone = parse_settings(demo_settings(PLACEHOLDER)).zone
    return datetime.combine(day, time(hour), tzinfo=zone).isoformat()


def set_clock(sandbox: Sandbox, now: str) -> None:
    """Pretends a time, here and in the sandbox."""
    os.environ["OPTINB_NOW"] = now
    sandbox.move_clock(to=max(datetime.fromisoformat(now), sandbox.clock.now()))


def run_night(root: Path, day: date) -> None:
    """The steps of the nightly notebook."""
    os.environ["OPTINB_USER"] = SCHEDULER
    night = nightly.begin(day.isoformat(), str(root))
    try:
        for step in (night.import_delivery, night.model, night.templates, night.audiences, night.sends, night.report):
            step()
    finally:
        night.close()


def settings_for(api: str) -> str:
    """The settings of the workspace, for a sandbox at `api`."""
    settings = demo_settings(api).replace("# keep_versions = 14", "keep_versions = 3")
    return settings.replace("# global_control = 0.02", "global_control = 0.05") + SETTINGS


def make(root: Path, sandbox: Sandbox) -> None:
    """Seven nights, and what people did between them."""
    init_workspace(root, settings=settings_for(sandbox.url))
    set_clock(sandbox, at(FIRST, 1))
    deliver(root, FIRST)
    _plan(root)
    for number in range(NIGHTS):
        day = FIRST + timedelta(days=number)
        if number:
            deliver(root, day)
        set_clock(sandbox, at(day, 2))
        # The first answer of one night never comes, although Appboy has taken the request.
        lost = (Fault("status", endpoint=CREATE, nth=(1,), status=504, after_taking=True),) if number == 2 else ()
        sandbox.set_faults(lost)
        run_night(root, day)
        set_clock(sandbox, at(day, 20))
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            if lost:
                ws.sends.reconcile(day)
            if number == 4:
                ws.forget(customer(FORGOTTEN), by="ticket 4711")


def _plan(root: Path) -> None:
    common = {"properties": {"first_name": {"attribute": "first_name", "default": "there"}}, "measurement_days": 14}
    shop = {**common, "app_group": "Shop", "template": "Optimove_SummerSale_iOS"}
    shop["properties"] = {**common["properties"], "promo_code": {"value": "HELLO"}}
    daily = {**shop, "name": DAILY, "group": "Fresh", "control": 0.2, "exclusion_days": 3}
    daily["schedule"] = {"every": "day", "at": "18:30"}
    once = {**shop, "name": ONCE, "group": "Fair visitors", "control": 0.25, "exclusion_days": 4, "priority": 90}
    once["schedule"] = {"date": "2026-11-18", "at": "18:00"}
    codes = {**common, "name": CODES, "app_group": "Club", "template": "Optimove_ClubNight_Android"}
    codes |= {"group": "Openers", "control": 0.2, "exclusion_days": 1, "priority": 80}
    codes |= {"schedule": {"every": "day", "step": 2, "start": FIRST.isoformat(), "at": "17:00"}}
    codes |= {"offer": {"name": "Drink", "kind": "discount", "codes": "Drinks"}}
    codes["properties"] = {**common["properties"], "promo_code": {"offer": "code"}}
    os.environ["OPTINB_USER"] = AUTHOR
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        ws.import_delivery(FIRST)
        ws.model(FIRST)
        ws.templates.sync()
        state_any_time(ws)
        ws.lists.save("Trade fair", [customer(n) for n in range(1, 31)])
        ws.codes.add("Drinks", [f"DRINK-{n:04d}" for n in range(200)])
        ws.groups.save("German women", (attr("country") == "DE") & (attr("gender") == "f"))
        ws.groups.save("Fair visitors", in_list("Trade fair"))
        ws.groups.save("Openers", did("open").at_least(1).within(days=14))
        ws.groups.save("Fresh", in_group("German women"))
        ws.campaigns.submit(daily)
        ws.groups.save("Fresh", in_group("German women") & ~received(DAILY).within(days=5))
        for campaign in (daily, once, codes):
            ws.campaigns.submit(campaign)
        ws.campaigns.save_draft({**daily, "name": "Some day"})
    with optinb.open_workspace(root, user=APPROVER) as boss:
        for name in (DAILY, ONCE, CODES):
            boss.campaigns.approve(name, seen=boss.campaigns.preview(name), comment="looks right")


def pack(root: Path, archive: Path) -> None:
    """All files of a workspace, settled, without the sandbox's port and without anything of the machine."""
    (file,) = root.glob("optinb.toml")
    for path in sorted(root.glob("*.sqlite")):
        with closing(sqlite3.connect(path)) as con:
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            con.execute("PRAGMA journal_mode=DELETE")
            con.execute("VACUUM")
            con.execute("PRAGMA journal_mode=WAL")
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in sorted(p for p in root.rglob("*") if not p.name.endswith(("-wal", "-shm"))):
            info = tarfile.TarInfo(path.relative_to(root).as_posix())
            info.mode, info.mtime = (0o755, 0) if path.is_dir() else (0o644, 0)
            if path.is_dir():
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
                continue
            content = path.read_bytes()
            if path == file:
                content = content.replace(_port(content), PLACEHOLDER.encode())
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _port(settings: bytes) -> bytes:
    return parse_settings(settings.decode()).app_groups[0].api.encode()


def _flag(value: bool) -> str:
    return "true" if value else "false"


def main() -> None:
    os.environ.update(KEYS)
    socket.gethostname = lambda: "machine"  # holders of leases are named by it
    archive, root = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        start = datetime.fromisoformat(at(FIRST, 0))
        with Sandbox(demo_world(), journal=Path(folder) / "sandbox.jsonl", now=start) as sandbox:
            make(root, sandbox)
        for summary in sorted(root.glob("runs/*/summary.json")):
            said = json.loads(summary.read_text())
            figures = ("name", "target", "excluded", "control", "recipients", "accepted", "unknown", "held")
            print(summary.parent.name, said["exit_code"], said["problems"], said["warnings"])
            for campaign in said["campaigns"]:
                print("   ", {name: campaign[name] for name in figures})
        pack(root, archive)


if __name__ == "__main__":
    main()
