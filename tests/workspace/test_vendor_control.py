"""The members of Appboy's Global Control Group, as somebody uploads them for an app group."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

import optinb
from optinb import show
from optinb.cli import main
from optinb.demo import AUTHOR, KEYS
from optinb.errors import SettingsError, StateError, UsageError
from optinb.segments.vendor_control import knows_nobody, without_list

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace


@pytest.fixture(scope="module")
def desk(modelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the modelled workspace for this file."""
    import shutil

    root = tmp_path_factory.mktemp("vendor-control") / "ws"
    shutil.copytree(modelled, root)
    return root


@pytest.fixture
def here(desk: Path) -> Path:
    """The same without any list that an earlier test left."""
    for file in (desk / "lists" / "vendor_control").glob("*"):
        file.unlink()
    with optinb.open_workspace(desk, user=AUTHOR) as ws:
        ws.vendor_control._note("vendor control removed", ws.settings.app_group("Shop").id)
    return desk


def some(ws: Workspace, count: int) -> list[str]:
    known = ws.customers().filter(pl.col("external_user_id") != "").sort("external_user_id")
    return known.head(count).collect()["external_user_id"].to_list()


def call(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*arguments, "-w", str(folder)], env={"OPTINB_USER": AUTHOR, **KEYS})
    return done.exit_code, done.stdout + done.stderr


def test_a_list_is_replaced_as_a_whole_and_the_trail_says_by_whom_and_how_many(here: Path) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        ids = some(ws, 3)
        assert ws.vendor_control.of("Shop") is None and ws.vendor_control.members("Shop") is None
        first = ws.vendor_control.save("Shop", [*ids, ids[0], "nobody"])
        assert (first.members, first.known, first.author, first.app_group) == (4, 3, AUTHOR, "Shop")
        second = ws.vendor_control.save(first.app_group_id, ["somebody", ids[1]])
        assert (second.members, second.known) == (2, 1)
        assert ws.vendor_control.of("Shop") == second and ws.vendor_control.list() == (second,)
        members = ws.vendor_control.members("Shop")
        assert members is not None and members["external_user_id"].to_list() == sorted(["somebody", ids[1]])
        newest, before = ws.store.audit.list(subject=first.app_group_id, limit=2)
        assert (newest.who, newest.action, newest.detail["members"]) == (AUTHOR, "vendor control saved", 2)
        assert before.detail["members"] == 4
        with pytest.raises(SettingsError, match="Shap"):
            ws.vendor_control.save("Shap", ids)


def test_a_list_comes_from_files_as_lists_do(here: Path, tmp_path: Path) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        ids = some(ws, 3)
        (tmp_path / "a.csv").write_text("\ufeffname;External User ID\r\n" + "".join(f'"A;b";{i}\r\n' for i in ids))
        (tmp_path / "b.ndjson").write_text("".join(json.dumps({"external_id": i, "n": 1}) + "\n" for i in ids))
        (tmp_path / "c.csv.gz").write_bytes(gzip.compress(("external_user_id\n" + "\n".join(ids)).encode()))
        (tmp_path / "d.csv").write_text("x,who\n" + "".join(f"1,{i}\n" for i in ids))
        files = [tmp_path / name for name in ("a.csv", "b.ndjson", "c.csv.gz")]
        found = [ws.vendor_control.save("Shop", file) for file in files]
        found.append(ws.vendor_control.save("Shop", tmp_path / "d.csv", column="who"))
        assert len({record.sha256 for record in found}) == 1 and found[0].known == 3
        (tmp_path / "e.txt").write_text("external_user_id\n1\n", encoding="utf-16")
        for source, complaint in [
            (tmp_path / "e.txt", "it is UTF-16 text"),
            (tmp_path / "d.csv", "none is named 'external_user_id'"),
            (tmp_path / "none.csv", "name a file of external user ids"),
            ([], "no external user id"),
        ]:
            with pytest.raises(UsageError, match=complaint):
                ws.vendor_control.save("Shop", source)
        assert ws.vendor_control.of("Shop") == found[-1]


def test_a_list_that_knows_nobody_does_not_replace_one_that_did(here: Path, tmp_path: Path) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        ids = some(ws, 3)
        assert ws.vendor_control.save("Shop", ids).warnings == ()
        wrong = tmp_path / "wrong.csv"
        wrong.write_text("external_user_id\nanna@example.com\nben@example.com\n")
        with pytest.raises(UsageError) as refused:
            ws.vendor_control.save("Shop", wrong)
        assert str(refused.value).startswith(
            "none of its 2 ids is the external user id of a customer, so that the list"
        )
        assert "2 look like e-mail addresses; give the column with the external user ids" in str(refused.value)
        assert "knows 3, so nothing was saved" in str(refused.value)
        with pytest.raises(UsageError, match="its only id isn't the external user id of a customer"):
            ws.vendor_control.save("Shop", ["nobody"])
        members = ws.vendor_control.members("Shop")
        assert members is not None and members["external_user_id"].to_list() == sorted(ids)
        assert ws.vendor_control.save("Shop", [ids[0], "new@example.com"]).known == 1  # one who is known is enough
        health = {v.about: v for one in ws.doctor("Shop").app_groups for v in one.verdicts}
        assert health["global control"].standing == "good"
        remove = str(refused.value).partition("first: optinb ")[2]
        assert call(here, *remove.split())[0] == 0
        saved = ws.vendor_control.save("Shop", wrong)
        assert (saved.members, saved.known) == (2, 0) and saved == ws.vendor_control.of("Shop")
        assert "warning: none of its 2 ids is the external user id" in show.text(saved)
        health = {v.about: v for one in ws.doctor("Shop").app_groups for v in one.verdicts}
        verdict = health["global control"]
        assert verdict.standing == "bad" and verdict.text == knows_nobody(saved)
        assert "leaves nobody out" in verdict.text and "look like e-mail addresses" in verdict.text


def test_a_list_whose_ids_a_spreadsheet_has_shortened_says_so(here: Path) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        ids = some(ws, 3)  # such as 000001
        saved = ws.vendor_control.save("Shop", [one.lstrip("0") for one in ids])
        assert f"3 unknown ids would be customers with other zeros in front (1 for {ids[0]}" in saved.warnings[1]
        # a customer who is forgotten is named no more, though the list has another id
        assert ws.vendor_control.forget({ids[0]}) == 1
        left = ws.vendor_control.of("Shop")
        assert left is not None and (left.members, left.warnings) == (3, ())


@pytest.mark.parametrize("how", ["gone", "rewritten", "an older one", "put back"])
def test_a_file_that_was_changed_is_an_error_and_never_an_empty_group(here: Path, how: str) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        ws.vendor_control.save("Shop", ["older"])
        (path,) = (here / "lists" / "vendor_control").glob("*.parquet")
        older = path.read_bytes()
        ws.vendor_control.save("Shop", ["newer"])
        if how == "gone":
            path.unlink()
        elif how == "rewritten":
            pl.read_parquet(path).clear().write_parquet(path, metadata=pl.read_parquet_metadata(path))
        elif how == "an older one":
            path.write_bytes(older)
        else:  # of an upload that the database has forgotten
            group = next(group for group in ws.settings.app_groups if group.name != "Shop")
            path = path.replace(ws.vendor_control._path(group.id))
            with pytest.raises(StateError, match=group.name):
                ws.vendor_control.members(group.name)
        with pytest.raises(StateError, match="restore the file, or upload the list again: optinb lists vendor-c"):
            ws.vendor_control.members("Shop")
        assert ws.vendor_control.save("Shop", ["newest"]) == ws.vendor_control.of("Shop")


def test_somebody_is_taken_off_the_list_and_it_stays_whole(here: Path) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        one, other = some(ws, 2)
        ws.vendor_control.save("Shop", [one, other, "nobody"])
        assert ws.vendor_control.forget({"elsewhere"}) == 0
        assert ws.vendor_control.forget({one, "elsewhere"}) == 1
        left, members = ws.vendor_control.of("Shop"), ws.vendor_control.members("Shop")
        assert left is not None and (left.members, left.known) == (2, 1)
        assert members is not None and one not in members["external_user_id"]
        (path,) = (here / "lists" / "vendor_control").glob("*.parquet")
        assert one.encode() not in path.read_bytes()
    settings = here / "optinb.toml"
    text = settings.read_text()
    settings.write_text(text.replace('"Shop"', '"Store"').replace(left.app_group_id, "another"))
    try:
        with optinb.open_workspace(here, user=AUTHOR) as ws:
            assert ws.vendor_control.list() == () and ws.vendor_control.forget({other}) == 1
    finally:
        settings.write_text(text)


def test_the_commands_upload_show_and_remove_a_list(here: Path, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("external_user_id\nsomebody\nelse\n")
    upload = ("lists", "vendor-control", "--app-group", "Shop")
    code, said = call(here, *upload)
    assert code == 0
    assert said.strip() == without_list("Shop") and "if it is on, its members are counted as recipients" in said
    code, said = call(here, *upload, "--file", str(tmp_path / "members.csv"))
    assert code == 0 and said.startswith("Appboy's Global Control Group of Shop (") and "2 members, 0 of them" in said
    assert said in call(here, "lists", "list")[1]
    assert call(here, *upload, "--file", str(tmp_path / "members.csv"), "--remove")[0] == 2
    assert "is uploaded for Shop" in call(here, *upload, "--remove")[1]
    assert call(here, *upload, "--remove")[0] == 2


def test_a_list_says_how_old_it_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        saved = ws.vendor_control.save("Shop", ["somebody"])
    assert "today)" in show.text(saved)
    monkeypatch.setenv("OPTINB_NOW", (saved.uploaded_at + timedelta(days=9)).isoformat())
    with optinb.open_workspace(here, user=AUTHOR) as ws:
        assert "9 days ago)" in show.text(ws.vendor_control.of("Shop"))
