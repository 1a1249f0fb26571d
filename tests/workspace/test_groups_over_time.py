"""What nights note of saved groups, in a workspace whose customers move, merge, go and are forgotten."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from page_text import text_of

import optinb
from optinb import attr
from optinb.base.workspace_folder import init_workspace
from optinb.cli import main
from optinb.demo import RUN_DATE, SCHEDULER, demo_settings
from optinb.errors import CampaignError, StateError, UsageError
from optinb.night import steps
from optinb.nightly import Night
from optinb.segments import GroupNights, record_groups
from optinb.show import html, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.workspace import Workspace

FIRST = date(2026, 11, 20)
SILVER = attr("tier") == "silver"
# By night the customers with country, tier and external user id, and purchases. On the third nothing runs.
NIGHTS: dict[int, tuple[dict[str, str], list[str]]] = {
    0: ({"a": "DE,gold,x1", "b": "DE,silver,x2", "c": "FR,silver,x3"}, ["t1,a,2026-11-18"]),
    1: ({"a": "FR,gold,x1", "b": "DE,silver,x2", "c": "DE,silver,x3", "d": "DE,gold,x4"}, ["t2,c,2026-11-20"]),
    # b has another id from now on, and c is gone
    3: ({"a": "DE,gold,x1", "e": "DE,silver,x2", "d": "DE,silver,x4"}, []),
}


def deliver(ws: Workspace, day: date, customers: dict[str, str], orders: list[str]) -> None:
    folder = ws.root / "inbox" / f"{day}"
    folder.mkdir(parents=True)
    heads = {
        "customers": (
            "customer_id,registered_at,country,tier,external_user_id",
            [f"{who},2026-01-05,{rest}" for who, rest in customers.items()],
        ),
        "app_users": ("customer_id,app_id", []),
        "transactions": ("transaction_id,customer_id,occurred_at,amount", [f"{order},10" for order in orders]),
    }
    for name, (head, rows) in heads.items():
        (folder / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace that has lived through the nights."""
    root = tmp_path_factory.mktemp("lived") / "ws"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1").replace("max_shrink = 0.05", "max_shrink = 0.9"))
    with pytest.MonkeyPatch.context() as patch:
        for at, (customers, orders) in NIGHTS.items():
            day = FIRST + timedelta(days=at)
            patch.setenv("OPTINB_NOW", f"{day}T03:00:00+01:00")
            with optinb.open_workspace(root, user="demo-author") as ws:
                deliver(ws, day, customers, orders)
                ws.import_delivery(day, accept_anyway="few customers")
                ws.model(day)
                if at == 0:
                    ws.groups.save("Germans", attr("country") == "DE")
                    ws.groups.save("customer_id", SILVER)
                    ws.groups.save("Nobody", attr("country") == "AQ")
                for _ in range(2):  # a night that is run again
                    done = record_groups(ws, GroupNights(ws.root), night=day)
                    assert (done.groups, done.problems) == (3, ())
        with optinb.open_workspace(root, user="demo-author") as ws:
            yield ws


def day(at: int) -> date:
    return FIRST + timedelta(days=at)


def test_each_nights_members_and_moves_are_known_also_of_whoever_has_another_id(lived: Workspace) -> None:
    history = lived.groups.history("germans")
    assert [one.night for one in history.nights] == [day(0), day(1), day(3)]
    members = [lived.groups.members_on("Germans", one.night)["customer_id"].to_list() for one in history.nights]
    assert members == [["a", "b"], ["b", "c", "d"], ["a", "d", "e"]]
    first, second, third = history.nights
    assert (first.size, first.joined, first.before) == (2, 0, None)
    assert (second.size, second.joined, second.left, second.before) == (3, 2, 1, day(0))
    assert (third.size, third.joined, third.left, third.merged) == (3, 1, 1, 0)
    assert second.came_from == {"dormant": 1, "not a customer": 1} and second.went_to == {"new": 1}
    assert third.came_from == {"new": 1} and third.went_to == {"not a customer": 1}
    assert [one.stages for one in history.nights] == [
        {"dormant": 1, "new": 1}, {"dormant": 2, "new": 1}, {"dormant": 2, "new": 1},
    ]  # fmt: skip
    assert [one.spend for one in history.nights] == [10, 10, 10]
    moved = lived.groups.moved("Germans", since=day(3))
    assert [row[1:5] for row in moved.iter_rows()] == [
        ("a", "joined", "new", "new"), ("c", "left", "new", "not a customer"),
    ]  # fmt: skip
    assert lived.groups.moved("Germans").height == 5
    assert history.gaps == ((day(1), day(3)),)
    table = history.table()
    assert table["customers"].to_list() == [2, 3, 3] and table["share_new"].to_list() == [0.5, 1 / 3, 1 / 3]


def test_empty_groups_and_strange_names_are_noted_too(lived: Workspace) -> None:
    assert [one.size for one in lived.groups.history("Nobody").nights] == [0, 0, 0]
    assert [one.size for one in lived.groups.history("customer_id").nights] == [2, 2, 2]
    assert lived.groups.members_on("Nobody", day(1)).is_empty()
    with pytest.raises(CampaignError, match="did you mean 'Germans'"):
        lived.groups.history("Germens")
    with pytest.raises(UsageError, match=r"on 2026-11-22 aren't kept: of its nights 2026-11-20 to 2026-11-23 are"):
        lived.groups.members_on("Germans", day(2))
    (problem,) = record_groups(lived, GroupNights(lived.root), night=day(1)).problems
    assert problem == "the saved groups of 2026-11-21 weren't noted, since the customers aren't modelled as of it"


def test_a_history_is_shown_in_terminals_pages_and_as_json(lived: Workspace) -> None:
    history = lived.groups.history("Germans")
    said = text(history)
    assert "Germans: 3 customers on Mon 23 Nov 2026; since Sat 21 Nov 2026 1 joined and 1 left" in said
    assert "Mon 23 Nov 2026: nothing is noted between Sat 21 Nov 2026 and this night" in said
    assert "Lifecycle stages of its customers" in html(history) and html(history).count("<svg") == 2
    assert html(lived.groups.history("Nobody")).count("<svg") == 1  # nobody has a stage
    assert "nothing is noted between Sat 21 Nov" in text_of(html(history))
    shown = CliRunner().invoke(main, ["groups", "history", "Germans", "--json", "-w", str(lived.root)])
    assert [one["size"] for one in json.loads(shown.output)["nights"]] == [2, 3, 3]
    lived.groups.save("Fresh", attr("country") == "FR")
    assert "no night is noted yet" in text(lived.groups.history("Fresh")) + html(lived.groups.history("Fresh"))


def test_what_changes_between_nights_is_told_apart(lived: Workspace, tmp_path: Path, monkeypatch: Any) -> None:
    """A later night on a copy: a rule that changed, somebody who is forgotten, a group that is gone, one that fails."""
    root = tmp_path / "ws"
    lived.store.close()
    shutil.copytree(lived.root, root)
    monkeypatch.setenv("OPTINB_NOW", f"{day(4)}T03:00:00+01:00")
    kept = GroupNights(root)
    with optinb.open_workspace(root, user="demo-author") as ws:
        figures = kept.figures("Germans")
        done = ws.forget("d")
        assert done.groups == 2 and "taken out of the history of 2 groups" in text(done)
        assert not kept.holds(["d"]) and kept.figures("Germans") == figures
        assert ws.groups.members_on("Germans", day(1))["customer_id"].to_list() == ["b", "c"]
        ws.groups.save("customer_id", SILVER | (attr("country") == "DE"))
        ws.lists.save("Fair", ["a"])
        ws.groups.save("Nobody", "in_list('Fair')")
        kept.write(replace(figures[-1], name="Gone"), pl.read_parquet(next(root.glob("groups_history/*/*.parquet"))))
        deliver(ws, day(4), {"a": "DE,gold,x1", "e": "DE,silver,x2", "d": "DE,gold,x4"}, [])
        ws.import_delivery(day(4), accept_anyway="few customers")
        ws.model(day(4))
        bad = next(root.glob(f"groups_history/*/{day(3)}.parquet"))
        ws.groups.save("Bad", SILVER)
        kept._path("Bad", day(3)).parent.mkdir()
        kept._path("Bad", day(3)).write_bytes(bad.read_bytes()[:100])
        assert record_groups(ws, kept, night=day(4)).problems[0].startswith("the group 'Bad' wasn't noted: ")
        with pytest.raises(StateError, match=r"can't be read .* or remove its folder"):
            ws.groups.history("Bad")
        germans = ws.groups.history("Germans").nights[-1]
        assert (germans.size, germans.joined, germans.left, germans.forgotten) == (2, 0, 0, 1)
        assert [one.has_new_rule for one in ws.groups.history("customer_id").nights] == [False, False, False, True]
        assert "Tue 24 Nov 2026: the group got another rule" in text(ws.groups.history("customer_id"))
        # new content of a list is no other rule
        ws.lists.save("Fair", ["a", "e"])
        record_groups(ws, kept, night=day(4))
        assert ws.groups.history("Nobody").nights[-1].size == 2
        ws.lists.save("Fair", ["a"])
        mark = kept.figures("Nobody")[-1].rule
        record_groups(ws, kept, night=day(4))
        assert kept.figures("Nobody")[-1].rule == mark
        assert ws.groups.history("Gone").sentence == "" and "isn't saved any more" in text(ws.groups.history("Gone"))


def test_a_night_notes_groups_after_its_sends_and_tells_unusual_sizes_in_its_report(folder: Path) -> None:
    with optinb.open_workspace(folder, user="demo-author") as ws:
        tonight = ws.groups.count("Lapsed buyers").customers
        kept, mark = GroupNights(folder), ws.groups.get("Lapsed buyers")
        record_groups(ws, kept, night=RUN_DATE)
        (figures,) = kept.figures("Lapsed buyers")
        ids = ws.members("Lapsed buyers").select("customer_id")
    rows = pl.read_parquet(kept._path("Lapsed buyers", RUN_DATE)).head(0)
    for ago in range(40, 0, -1):
        then = replace(figures, night=RUN_DATE - timedelta(days=ago), size=round(tonight / 1.5), is_whole=True)
        whole = ids.with_columns(change=pl.lit("member", rows.schema["change"])) if ago == 1 else rows
        kept.write(then, pl.concat([rows, whole.head(round(tonight / 1.5))], how="diagonal"))
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    summary = night.report()
    night.close()
    joined = tonight - round(tonight / 1.5)
    (alarm,) = summary.groups
    assert alarm.startswith(f"Lapsed buyers grew by 50% in a week, to {tonight:,} customers")
    assert alarm in text_of((folder / "runs" / f"{RUN_DATE}" / "report.html").read_text())
    assert alarm in text(summary) and not summary.problems
    with optinb.open_workspace(folder, user="demo-author") as ws:
        last = ws.groups.history("Lapsed buyers").nights[-1]
        assert (last.alarm, last.joined, last.version) == (alarm, joined, mark.version)


def test_what_fails_in_noting_groups_is_a_note_of_the_night(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("too much")

    monkeypatch.setattr(steps, "record_groups", broken)
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.templates, night.audiences, night.sends):
        step()
    assert night.groups().groups == 0
    summary = night.report()
    night.close()
    assert any("the saved groups weren't noted: it failed (MemoryError: too much)" in w for w in summary.warnings)
    assert summary.exit_code == 0 and not summary.problems and not (folder / "groups_history").exists()
    rehearsed = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE, dry_run=True)
    assert rehearsed.groups().problems == ()
    rehearsed.close()
