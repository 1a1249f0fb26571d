"""A night of hostile values and distinctive keys: what commands print, which files are made, and where no key is."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import hostile
import polars as pl
import pytest
from click.testing import CliRunner
from hostile import ACTING, DAY, deliver, hostile_world, names, prepare, template_name, trap

from optinb.base.printable import printable, printable_json, printable_line
from optinb.cli import main
from optinb.demo import AUTHOR
from optinb.errors import Exit
from optinb.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"OPTINB_SHOP_KEY": "zq7shopKEYzq7-f00d-5h0p", "OPTINB_CLUB_KEY": "zq7clubKEYzq7-f00d-c1ub"}
NIGHT = datetime.fromisoformat("2026-11-23T02:00:00+01:00")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """The workspace after a night that a command ran, its hostile customers, and everything that was printed."""
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "ws"
    told = {"status": 400, "body": json.dumps({"message": f"Bad key {KEYS['OPTINB_SHOP_KEY']} {hostile.ANSI}"})}
    wrong = [Fault("status", nth=(1,), endpoint="/campaigns/trigger/schedule/create", **told)]
    with pytest.MonkeyPatch.context() as patch, trap() as trapped:
        for name, value in {**KEYS, "OPTINB_NOW": NIGHT.isoformat(), "OPTINB_USER": AUTHOR}.items():
            patch.setenv(name, value)
        world = hostile_world(trapped, keys=KEYS)
        with Sandbox(world, journal=root.parent / "sandbox.jsonl", now=NIGHT, faults=wrong) as sandbox:
            ids = prepare(root, sandbox.url, trapped)
            said = [command("nightly", "--date", str(DAY), root=root)]
            name = names(trapped)
            for words in (
                ("doctor",), ("templates", "sync"), ("templates", "list"), ("campaigns", "list"),
                ("campaigns", "calendar"),
                ("campaigns", "show", name["campaign"]), ("campaigns", "preview", name["campaign"] + " waits"),
                ("campaigns", "export", name["campaign"]), ("groups", "list"), ("groups", "show", name["group"]),
                ("groups", "count", name["group"]), ("lists", "list"), ("lists", "show", name["list"]), ("status",),
                ("audit", "list"), ("audit", "verify"), ("quarantine", "--date", str(DAY)), ("reach",),
                ("history", "first_name"), ("history", "city"), ("discover", name["group"]),
                *(("why", one) for one in ids), *(("customer", one) for one in ids[3:6]),
                ("groups", "why", name["group"], ids[0]), ("lists", "show", "\x9bno"),
                ("campaigns", "show", "\x1b[2Jno"),
                ("campaigns", "cancel", name["campaign"], "--comment", f"{trapped.image('cancel')} {hostile.ANSI}"),
                ("campaigns", "show", name["campaign"]),
            ):  # fmt: skip
                said += [command(*words, root=root)]
                said += [command(*words, "--json", root=root)] if words[0] in ("why", "audit", "customer") else []
        (folder / "said.txt").write_text("".join(said), encoding="utf-8")
        (folder / "names.txt").write_text(template_name(trapped, "Shop"), encoding="utf-8")
        yield root, ids, said, trapped


def command(*words: str, root: Path) -> str:
    """What a command prints to both streams; those after the first in this process, which is faster."""
    if words[0] == "nightly":
        line = [sys.executable, "-m", "optinb", *words, "--workspace", str(root)]
        done = subprocess.run(line, capture_output=True, check=False, env=os.environ)
        text = (done.stdout + done.stderr).decode("utf-8", "surrogateescape")
        assert done.returncode == Exit.FAILED, text  # one request is refused, with its key in the answer
        return text
    result = CliRunner().invoke(main, [*words, "--workspace", str(root)])
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
    return result.output


def test_no_command_hands_a_terminal_what_it_would_act_on(night):
    _, _, said, _ = night
    text = "".join(said)
    assert r"\x1b[2J" in text, "no hostile value was printed, which proves nothing"
    assert [(text[max(n - 60, 0) : n + 20], sign) for n, sign in enumerate(text) if sign in ACTING][:3] == []


def test_json_of_commands_holds_the_values_exactly(night):
    root, ids, _, _ = night
    for one in ids:
        answer = json.loads(command("customer", one, "--json", root=root))
        assert answer["customer_id"] == one


def test_files_bear_plain_names_and_lie_in_the_workspace(night):
    root, *_ = night
    made = [path.relative_to(root.parent) for path in root.parent.rglob("*")]
    assert len(made) > 50
    assert [str(path) for path in made if not re.fullmatch(r"[\w./ =-]+", str(path), re.ASCII)] == []
    assert not (root.parent / "etc").exists()


def test_customers_with_hostile_ids_get_their_message_under_exactly_that_id(night):
    root, ids, *_ = night
    lines = (root.parent / "sandbox.jsonl").read_text(encoding="utf-8").splitlines()
    sent = [r["external_user_id"] for line in lines for r in json.loads(line).get("recipients") or []]
    assert set(sent) & set(ids)
    assert len(sent) == len(set(sent))


def test_no_key_is_left_in_any_byte_of_the_workspace_or_of_what_was_printed(night):
    root, _, said, _ = night
    forms = [form for key in KEYS.values() for form in (key.encode(), base64.b64encode(key.encode()).rstrip(b"="))]
    looked, found = 0, []
    for path in root.parent.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".gz":
            data += gzip.decompress(data)
        if path.suffix == ".parquet":
            data += pl.read_parquet(path).write_ndjson().encode()
        looked += len(data)
        found += [path for form in forms if form in data]
    assert looked > 1_000_000
    assert found == []
    assert [form for form in forms if form in "".join(said).encode("utf-8", "surrogateescape")] == []


def test_nothing_asks_for_what_a_value_points_at(night):
    *_, trapped = night
    assert trapped.asked == []


def test_delivery_is_as_hostile_as_it_says(tmp_path):
    with trap() as trapped:
        ids = deliver(tmp_path / DAY.isoformat(), trapped)
    text = (tmp_path / DAY.isoformat() / "customers.csv").read_text(encoding="utf-8")
    assert all(mark in text for mark in ("onerror=", "\x1b[2J", "=cmd|", "../../", "\x00", "\u202e", hostile.LONG))
    assert len(ids) == len(trapped.values("id"))


@pytest.mark.parametrize(
    ("text", "shown", "line"),
    [
        ("Zoë 🇫🇷 👩‍👩‍👧 a\tb\nc", "Zoë 🇫🇷 👩‍👩‍👧 a\tb\nc", r"Zoë 🇫🇷 👩‍👩‍👧 a\tb\nc"),
        ("\x1b[31mred\r\x08", r"\x1b[31mred\r\x08", r"\x1b[31mred\r\x08"),
        ("\x9b31m\u202egnp", r"\x9b31m\u202egnp", r"\x9b31m\u202egnp"),
        ("\u2028\u2066\x00", r"\u2028\u2066\x00", r"\u2028\u2066\x00"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out_and_words_stay(text, shown, line):
    assert printable(text) == shown
    assert printable_line(text) == line
    assert json.loads(printable_json(json.dumps(text, ensure_ascii=False))) == text
