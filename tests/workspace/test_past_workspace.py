"""A past workspace is for reading: nothing that it hands out, however deep, changes the present."""

from __future__ import annotations

import inspect
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from optinb import open_workspace
from optinb.demo import AUTHOR, RUN_DATE
from optinb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from optinb.segments import PastWorkspace
    from optinb.workspace import Workspace

GROUP, LIST = "Lapsed buyers", "Fair"
# What each method that only reads is called with; whatever isn't named here has to refuse.
READS: dict[str, tuple[Any, ...]] = {
    "PastWorkspace.compare": (GROUP, "Club regulars"),
    "PastWorkspace.customer_on": ("000014", RUN_DATE),
    "PastWorkspace.customers": (),
    "PastWorkspace.customers_on": (RUN_DATE,),
    "PastWorkspace.discover": ('did("purchase").within(days=30)',),
    "PastWorkspace.distribution": ("country",),
    "PastWorkspace.explain": (GROUP,),
    "PastWorkspace.history": ("country",),
    "PastWorkspace.members": (GROUP,),
    "PastWorkspace.micro_segments": (),
    "PastWorkspace.nights": (),
    "PastWorkspace.overlap": ((GROUP, "Club regulars"),),
    "PastWorkspace.preview": (GROUP,),
    "PastWorkspace.profile": (GROUP,),
    "PastWorkspace.reach": (),
    "PastWorkspace.reach_of": ("000014",),
    "PastWorkspace.sizes": ((GROUP,),),
    "PastWorkspace.snapshot": (),
    "PastWorkspace.tables": (),
    "PastWorkspace.tables_for": (),
    "PastWorkspace.tables_on": (RUN_DATE,),
    "PastWorkspace.vocabulary": (),
    "PastWorkspace.why_member": ("000014", GROUP),
    "PastGroups.attributes": (),
    "PastGroups.bound": (GROUP,),
    "PastGroups.count": (GROUP,),
    "PastGroups.get": (GROUP,),
    "PastGroups.history": (GROUP,),
    "PastGroups.list": (),
    "PastGroups.members_on": (GROUP, RUN_DATE),
    "PastGroups.moved": (GROUP,),
    "PastGroups.rule": (GROUP,),
    "PastGroups.with_lists": (None,),
    "PastLists.content": (None,),
    "PastLists.get": (LIST,),
    "PastLists.has": (LIST,),
    "PastLists.holds": ("000014",),
    "PastLists.kept": (),
    "PastLists.list": (),
    "PastLists.members": (LIST,),
    "ContactHistory.campaigns": (),
    "ContactHistory.nights": (),
    "ContactHistory.of_person": (None, ("000014",), ()),
    "ContactHistory.reopen": (),
    "ContactHistory.rows": (None,),
    "ContactHistory.rows_of": (None,),
    "ContactHistory.table": (),
    "ContactHistory.verdict_on": (None, 0),
    "ContactHistory.verdicts": (None,),
    "Snapshot.files": ("customers",),
    "Snapshot.has": ("customers",),
    "Snapshot.history": (),
    "Snapshot.path": (None,),
    "Snapshot.paths": ("customers",),
    "Snapshot.scan": ("transactions",),
    "Snapshot.schema": ("customers",),
    "Snapshot.table": ("customers",),
}


def handed_out(past: PastWorkspace) -> Iterator[Any]:
    """The past workspace and every object of ours that can be reached from it by public names, save plain values."""
    waiting, seen = [past, past.snapshot()], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or not type(one).__module__.startswith("optinb") or hasattr(one, "__struct_fields__"):
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, name) for name in dir(one) if not name.startswith("_")]


def methods(one: Any) -> Iterator[tuple[str, Any]]:
    """The public methods of an object, by class and name; closing gives back what is open, and changes nothing."""
    for name, method in inspect.getmembers(one, inspect.ismethod):
        if not name.startswith("_") and name != "close":
            yield f"{type(one).__name__}.{name}", method


def digests(root: Path) -> dict[str, str]:
    """What every file of a workspace holds, its store included."""
    return {
        str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith("state.sqlite-")
    }


@pytest.fixture
def worked_with(finished: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose night was sent."""
    shutil.copytree(finished, tmp_path / "ws")
    with open_workspace(tmp_path / "ws", user=AUTHOR) as ws:
        yield ws


def test_whatever_a_past_workspace_hands_out_reads_or_refuses(worked_with: Workspace) -> None:
    ws = worked_with
    kept = ws.lists.save(LIST, ["000014", "000034"])
    ws.store.close()
    given: dict[str, tuple[Any, ...]] = {
        **READS,
        "PastGroups.with_lists": (ws.groups.rule(GROUP),),
        "PastLists.content": (kept.sha256,),
        "ContactHistory.rows": (ws.contacts.nights()[0],),
        "ContactHistory.of_person": (ws.contacts.nights()[0], ("000014",), ()),
        "ContactHistory.verdicts": (ws.contacts.nights()[0],),
        "ContactHistory.verdict_on": (ws.contacts.nights()[0], 0),
        "Snapshot.path": (ws.snapshot().files("transactions")[0],),
    }
    with ws.as_of(RUN_DATE) as past:
        before, read, refused = digests(ws.root), set(), set()
        for one in handed_out(past):
            for name, method in methods(one):
                if name in given:
                    method(*given[name])
                    read.add(name)
                else:
                    with pytest.raises(UsageError, match="the past can't be changed"):
                        method(*("x" for _ in range(_needed(method))))
                    refused.add(name)
        assert read == set(READS)
        assert refused == {"PastGroups.save", "PastGroups.export", "PastLists.save", "PastLists.forget"}
    ws.store.close()
    assert digests(ws.root) == before


def test_what_a_past_workspace_refuses_the_present_does(worked_with: Workspace) -> None:
    ws = worked_with
    with ws.as_of(RUN_DATE) as past:
        with pytest.raises(UsageError, match=r"the list 'Fair' with ws\.lists\.save"):
            past.lists.save(LIST, ["000014"])
        with pytest.raises(UsageError, match=r"customer '000014' with ws\.forget"):
            past.lists.forget("000014")
        assert not past.lists.has(LIST)
        ws.lists.save(LIST, ["000014", "000034"])
        assert past.lists.members(LIST)["customer_id"].to_list() == ["000014", "000034"]
        assert past.members(f"in_list({LIST!r})").height == 2
        ws.lists.forget("000014")
        assert past.lists.members(LIST)["customer_id"].to_list() == ["000034"]


def _needed(method: Any) -> int:
    """How many arguments a method can't do without."""
    parameters = inspect.signature(method).parameters.values()
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
