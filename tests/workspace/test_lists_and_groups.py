"""Uploaded lists, groups that name groups and lists, and campaigns that are bound to what their group names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import optinb
from optinb import all_of, attr, in_group, in_list, show
from optinb.demo import APPROVER, SCHEDULER
from optinb.errors import ApprovalError, RuleError, StateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

PLAN = {"app_group": "Shop", "schedule": {"at": "10:00", "every": "day"}}


def some_ids(ws: Workspace, count: int) -> list[str]:
    return ws.customers().sort("customer_id").head(count).collect()["customer_id"].to_list()


def test_a_list_is_kept_by_its_content_and_each_new_content_is_a_version(ws: Workspace) -> None:
    ids = some_ids(ws, 3)
    first = ws.lists.save("Trade fair", [*ids, ids[0], " ", f" {ids[1]} ", "nobody"])
    assert (first.version, first.customers, first.unknown, first.author) == (1, 4, 1, ws.user)
    assert ws.lists.save("trade FAIR", ["nobody", *reversed(ids)]) == first
    second = ws.lists.save("Trade fair", ids)
    assert (second.version, second.customers, second.unknown) == (2, 3, 0)
    assert ws.lists.list() == (second,)
    assert ws.lists.members("Trade fair")["customer_id"].to_list() == ids
    assert ws.lists.content(first.sha256).height == 4
    assert [e.action for e in ws.store.audit.list(subject="Trade fair")] == ["list saved", "list saved"]


def test_a_list_comes_from_a_file(ws: Workspace, tmp_path: Path) -> None:
    ids = some_ids(ws, 3)
    (tmp_path / "a.csv").write_text("note,customer_id\n" + "".join(f"x,{i}\n" for i in ids))
    (tmp_path / "b.txt").write_text("\ufeff" + "\r\n".join(ids) + "\n")
    pl.DataFrame({"customer_id": ids}).write_parquet(tmp_path / "c.parquet")
    found = {ws.lists.save(name, tmp_path / name).sha256 for name in ("a.csv", "b.txt", "c.parquet")}
    assert len(found) == 1


def test_a_list_comes_from_a_spreadsheet(ws: Workspace, tmp_path: Path) -> None:
    ids = some_ids(ws, 3)
    (tmp_path / "a.csv").write_text("\ufeffcustomer_id;Name\r\n" + "".join(f'"{i}";"A;b"\r\n' for i in ids))
    (tmp_path / "b.txt").write_text("Customer ID\n" + "\n\n".join(ids))
    (tmp_path / "c.csv").write_text("Nr\tKunde\n" + "".join(f"1\t{i}\n" for i in ids))
    (tmp_path / "d.txt").write_text("Kunden\n" + "\n".join(ids))
    found = [ws.lists.save("One", tmp_path / name) for name in ("a.csv", "b.txt")]
    found += [ws.lists.save("One", tmp_path / "c.csv", column="Kunde")]
    found += [ws.lists.save("One", tmp_path / "d.txt", header=True)]
    assert len({record.sha256 for record in found}) == 1
    assert (found[0].customers, found[0].unknown, found[0].warnings) == (3, 0, ())
    assert ws.lists.save("Two", tmp_path / "d.txt", header=False).unknown == 1


def test_ids_that_lost_their_zeros_are_told_with_examples_and_counted_as_unknown(ws: Workspace) -> None:
    ids = some_ids(ws, 3)
    assert all(i.startswith("0") for i in ids)
    record = ws.lists.save("Fair", [*(i.lstrip("0") or "0" for i in ids), "x1", "1234567890123450000"])
    assert (record.customers, record.unknown) == (5, 5)
    zeros, rounded = record.warnings
    assert zeros.startswith("3 unknown ids would be customers with other zeros in front") and ids[1] in zeros
    assert rounded.startswith("1 unknown ids such as 1234567890123450000 have only zeros after the 15th digit")
    assert show.text(record).count("warning: ") == 2 and ws.lists.get("Fair") == record
    assert not ws.lists.save("Fair", ids).warnings


def test_ids_of_a_list_are_compared_as_customers_are_known(ws: Workspace) -> None:
    assert ws.lists.save("One", ["Zoe\u0308"]).sha256 == ws.lists.save("Two", ["Zo\u00eb"]).sha256


def test_what_is_no_list_is_refused_and_nothing_is_kept(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("customer\n1\n")
    (tmp_path / "b.csv").write_text("001,Ann\n002,Bob\n")
    (tmp_path / "c.csv").write_text("customer_id;n\n1;x\n1,234E+05;y\n")
    (tmp_path / "d.txt").write_text("1001\n1002.0\n")
    (tmp_path / "e.txt").write_text("customer_id\n1\n", encoding="utf-16")
    (tmp_path / "f.xlsx").write_bytes(b"PK\x03\x04")
    for source, complaint in [
        (tmp_path / "a.csv", "no column 'customer_id'"),
        (tmp_path / "b.csv", "line 1, 2 has several columns .*; name the column so in the first line"),
        (
            tmp_path / "c.csv",
            r"line 3 \('1,234E\+05'\) is a long number as a spreadsheet shortens it.*format the column",
        ),
        (tmp_path / "d.txt", r"line 2 \('1002.0'\) is a number with decimals.*Nothing was saved"),
        (tmp_path / "e.txt", "it is UTF-16 text; save it as UTF-8"),
        (tmp_path / "f.xlsx", "it is a spreadsheet"),
        (tmp_path / "none.csv", "none.csv can't be read: No such file or directory"),
        (tmp_path / "none.txt", "none.txt can't be read: No such file or directory; name a file of customer ids"),
        ([], "no customer id"),
        ([1, 2], "no text"),
        (["x\x00y"], "in line 1"),
    ]:
        with pytest.raises(UsageError, match=complaint):
            ws.lists.save("Bad", source)  # type: ignore[arg-type]
    with pytest.raises(RuleError, match="printable"):
        ws.lists.save("\n", ["1"])
    assert ws.lists.list() == () and not ws.lists.kept()
    with pytest.raises(RuleError, match="save it first"):
        ws.lists.get("Trade fair")
    ws.lists.save("Trade fair", ["1"])
    with pytest.raises(RuleError, match="did you mean 'Trade fair'"):
        ws.groups.save("Visitors", in_list("Trade fare"))


def test_a_list_that_was_changed_on_disk_is_not_read(ws: Workspace) -> None:
    record = ws.lists.save("Trade fair", ["1"])
    path = next((ws.root / "lists" / "content").glob(f"{record.sha256}*"))
    pl.DataFrame({"customer_id": ["2"]}).write_parquet(path)
    with pytest.raises(StateError, match="was changed"):
        ws.lists.members("Trade fair")


def test_a_group_may_name_groups_and_counts_with_their_rules_of_now(ws: Workspace) -> None:
    ws.groups.save("Germans", attr("country") == "DE")
    ws.groups.save("Others", all_of(~in_group("germans"), attr("country").is_known()))
    before = ws.groups.count("Others").customers
    assert before == ws.customers().filter(pl.col("country") != "DE").collect().height
    ws.groups.save("Germans", attr("country").one_of(["DE", "AT"]))
    assert ws.groups.count("Others").customers < before
    assert ws.preview("Others").customers == ws.groups.count("Others").customers == ws.members("Others").height


def test_a_group_that_would_refer_to_itself_is_refused(ws: Workspace) -> None:
    ws.groups.save("A", attr("country") == "DE")
    ws.groups.save("B", in_group("A") | (attr("country") == "AT"))
    for name in ("A", "a"):
        with pytest.raises(RuleError, match="circle"):
            ws.groups.save(name, ~in_group("B"))
    with pytest.raises(optinb.OptinbError, match="'C' isn't known"):
        ws.groups.save("D", in_group("C"))
    assert ws.groups.rule("A") == (attr("country") == "DE")


def approved(ws: Workspace, group: str) -> str:
    template = next(t.name for t in ws.templates.list("Shop") if t.usable)
    needed = {p.name: {"value": "x"} for t in ws.templates.list("Shop") if t.name == template for p in needs(t)}
    ws.campaigns.submit({"name": "Bound", "group": group, "template": template, "properties": needed, **PLAN})
    with optinb.open_workspace(ws.root, user=APPROVER) as other:
        other.campaigns.approve("Bound", seen=other.campaigns.preview("Bound"))
    return template


def needs(template: object) -> list:
    from optinb.appboy import needed_properties

    return list(needed_properties(template))  # type: ignore[arg-type]


def test_an_approval_covers_the_groups_and_the_lists_that_a_group_names(ws: Workspace) -> None:
    ws.groups.save("Germans", attr("country") == "DE")
    ws.groups.save("Target", in_group("Germans") & (attr("country") == "DE"))
    approved(ws, "Target")
    seen = ws.campaigns.preview(ws.campaigns.get("Bound").campaign)
    ws.groups.save("Germans", attr("country") == "AT")
    now = ws.campaigns.preview(ws.campaigns.get("Bound").campaign).parts
    assert {name for name in now if seen.parts[name] != now[name]} == {"rule of the target group"}
    with (
        optinb.open_workspace(ws.root, user=APPROVER) as other,
        pytest.raises(ApprovalError, match="rule of the target group"),
    ):
        other.campaigns.approve("Bound", seen=seen)


def test_a_workspace_opened_by_the_scheduler_reads_the_same_lists(ws: Workspace) -> None:
    record = ws.lists.save("Trade fair", some_ids(ws, 2))
    with optinb.open_workspace(ws.root, user=SCHEDULER) as other:
        assert other.lists.get("Trade fair") == record
