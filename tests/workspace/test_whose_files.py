"""In a workspace that a group shares, nobody changes what another person's programs run, or who approves."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

import optinb
from optinb import show
from optinb.base.ownership import closed_folders, login_of, loopholes
from optinb.base.settings import load_settings
from optinb.base.workspace_folder import init_workspace
from optinb.demo import demo_settings
from optinb.errors import UsageError
from optinb.planning.doctor import who_sets
from optinb.serve.lab import opened, run_lab
from optinb.serve.notebook_copies import copied_notebooks, folder_of_copies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optinb.appboy import Verdict
    from optinb.workspace import Workspace

IS_ROOT = os.geteuid() == 0  # who may act as another person
GROUP = grp.getgrnam("users") if IS_ROOT else grp.getgrgid(os.getegid())
LOGIN = login_of(os.geteuid())
WHO = "root" if LOGIN == "root" else f"{LOGIN} {{}} root"
NOBODY = 65534


@pytest.fixture
def root() -> Iterator[Path]:
    """A new workspace of a group, in a folder that others can get to."""
    outer = Path(mkdtemp())
    outer.chmod(0o755)
    before = os.umask(0o022)
    text = demo_settings("http://127.0.0.1:1").replace('identity = "asserted"', f'group = "{GROUP.gr_name}"')
    init_workspace(outer / "ws", settings=text)
    yield outer / "ws"
    os.umask(before)
    shutil.rmtree(outer)


def as_another(command: str, *arguments: Path) -> bool:
    """Whether another person of the group can run a command of the shell."""
    done = subprocess.run(
        ["sh", "-c", command, "sh", *map(str, arguments)],
        user=NOBODY,
        group=GROUP.gr_gid,
        extra_groups=[],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def settings_of(root: Path) -> Verdict:
    with optinb.open_workspace(root) as ws:
        (found,) = [verdict for verdict in ws.doctor().machine if verdict.about == "settings"]
        assert found.text in show.text(ws.doctor())
        assert found.standing == "good" or ws.doctor().exit_code == 1
        return found


def test_what_a_group_works_by_is_changed_by_its_owner_and_another_put_there_only_beside_an_sqlite_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optinb.base.ownership._is_of_one", lambda *_: False)
    text = settings_of(root).text
    assert f"by the group {GROUP.gr_name}, so that another optinb.toml can be put there" in text
    assert text.endswith("a state in PostgreSQL (`state` under [workspace]) lets the folder be closed")
    settings = root / "optinb.toml"
    said: list[str] = []
    opened(root, say=said.append)
    assert "says who approves" in said[0]
    if IS_ROOT:
        assert not as_another('echo "# mine" >> "$1"', settings)
        assert as_another('cat "$1" && echo a > "$2/inbox/a.csv"', settings, root), "they work there all the same"
    with_postgres = settings.read_text("utf-8").replace("[workspace]", '[workspace]\nstate = "env:STATE"', 1)
    settings.write_text(with_postgres, "utf-8")
    monkeypatch.setenv("STATE", "postgresql+psycopg://ann@db:5432/optinb")
    with optinb.open_workspace(root) as ws:
        subprocess.run(who_sets(ws.context).text.split("root runs: ")[1], shell=True, check=True)
        assert who_sets(ws.context).text == f"only {WHO.format('and')} can change optinb.toml, which says who approves"
    if IS_ROOT:
        assert not as_another('mv "$1" "$1.old"', settings)
        assert not as_another('echo mine > "$1.new" && mv -f "$1.new" "$1"', settings)
        assert not as_another('mv "$1" "$1.old"', root / "inbox")


def test_a_sticky_folder_that_keeps_people_from_the_state_is_told_with_the_command_that_opens_it(root: Path) -> None:
    root.chmod(0o3770)
    with optinb.open_workspace(root) as ws:
        (found,) = [verdict for verdict in ws.doctor().machine if verdict.about == "folder"]
        subprocess.run(found.text.split("root runs: ")[1], shell=True, check=True)
        assert found.standing == "bad"
        assert "folder" not in {verdict.about for verdict in ws.doctor().machine}
    assert stat.S_IMODE(root.stat().st_mode) == 0o2770


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o660, "optinb.toml can be written to by the group {group}; "),
        (0o646, "optinb.toml can be written to by everybody on this machine; "),
    ],
)
def test_doctor_says_that_others_can_change_who_approves_and_what_closes_it(
    root: Path, mode: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optinb.base.ownership._is_of_one", lambda *_: False)
    (root / "optinb.toml").chmod(mode)
    found = settings_of(root)
    assert found.standing == "bad"
    assert told.format(group=GROUP.gr_name) in found.text
    assert f"; {WHO.format('or')} runs: chmod go-w" in found.text
    subprocess.run(found.text.split("root runs: ")[1], shell=True, check=True)
    assert "optinb.toml can be written" not in settings_of(root).text


def test_a_folder_of_nobody_but_its_owner_is_closed_to_others_by_taking_their_right(tmp_path: Path) -> None:
    init_workspace(tmp_path / "ws", settings=demo_settings("http://127.0.0.1:1"))
    (tmp_path / "ws").chmod(0o777)
    with optinb.open_workspace(tmp_path / "ws", user="ada") as ws:
        assert f"chmod go-w {tmp_path / 'ws'}" in who_sets(ws.context).text


def test_a_folder_on_the_way_counts_and_a_group_of_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, file = tmp_path / "way", tmp_path / "way" / "ws" / "optinb.toml"
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    for folder in (way, file.parent):
        folder.chmod(0o755)
    assert loopholes(file) == ()
    way.chmod(0o777)
    (found,) = loopholes(file)
    everybody = f"{way} can be written to by everybody on this machine"
    assert (found.how, found.command) == (
        f"{everybody}, so that another optinb.toml can be put there",
        f"chmod +t {way}",
    )
    way.chmod(0o1777)
    assert loopholes(file) == ()
    way.chmod(0o775)
    monkeypatch.setattr("grp.getgrgid", lambda _: grp.struct_group((LOGIN, "", 1, [])))
    assert loopholes(file) == ()
    monkeypatch.setattr("grp.getgrgid", lambda _: grp.struct_group((LOGIN, "", 1, ["eve"])))
    (found,) = loopholes(file)
    assert found.how.startswith(f"{way} can be written to by the group {LOGIN}, so")
    way.chmod(0o755)
    if IS_ROOT:
        os.chown(way, NOBODY, -1)
        (found,) = loopholes(file)
        assert (found.how, found.command) == (
            f"{file} belongs to {LOGIN}, and {way} to {login_of(NOBODY)}",
            f"chown {LOGIN} {way}",
        )
        for path in (file.parent, file):
            os.chown(path, NOBODY, -1)
        assert loopholes(file) == ()


def test_where_names_are_asserted_settings_that_others_can_change_are_a_note(root: Path) -> None:
    settings = root / "optinb.toml"
    settings.write_text(settings.read_text("utf-8").replace("[workspace]", '[workspace]\nidentity = "asserted"', 1))
    settings.chmod(0o646)
    with optinb.open_workspace(root, user="ada") as ws:
        (found,) = [verdict for verdict in ws.doctor().machine if verdict.about == "settings"]
    assert found.standing == "note"


def test_each_person_of_a_group_works_on_copies_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "notebooks").mkdir()
    (root / "notebooks" / "track.ipynb").write_text("{}")
    started, said = [], []
    monkeypatch.setattr("optinb.serve.lab.run", lambda *given: started.append(given) or 0)
    run_lab(root, rehearse=False, options=["--ServerApp.allow_root=True"], say=said.append)
    own = root / f"notebooks-{LOGIN}"
    ((command, _, started_in),) = started
    assert f"--notebook-dir={own}" in command
    assert started_in == own
    assert stat.S_IMODE(own.stat().st_mode) == 0o2700
    assert '"cells"' in (own / "track.ipynb").read_text("utf-8")
    assert said[-1:] == [
        f"{root / 'notebooks'}, which others can change, is no longer used; take over into {own} what you have read."
    ]
    with optinb.open_workspace(root) as ws:
        assert "is open to others" not in show.text(ws.doctor())
    if IS_ROOT:
        for change in ('echo {} > "$1/track.ipynb"', 'echo 1 > "$1/polars.py"', 'ls "$1"'):
            assert not as_another(change, own), change
        assert as_another('mkdir "$1/notebooks-nobody" && echo {} > "$1/notebooks-nobody/own.ipynb"', root)


@pytest.mark.parametrize("planted", ["open", "link", "file", "theirs"])
def test_copies_that_somebody_else_laid_out_are_not_worked_on(root: Path, planted: str) -> None:
    settings = load_settings(root / "optinb.toml")
    own = folder_of_copies(root, settings)
    (root / "elsewhere").mkdir(0o700)
    match planted:
        case "open":
            own.mkdir()
            own.chmod(0o2770)
        case "link":
            own.symlink_to(root / "elsewhere")
        case "file":
            own.touch()
        case _:
            own.mkdir(0o700)
            if not IS_ROOT:
                own.chmod(0o2750)
            else:
                os.chown(own, NOBODY, -1)
    with pytest.raises(UsageError, match=r"notebooks-\S+ should be a folder of your own"):
        copied_notebooks(root, settings, say=print)
    assert not list((root / "elsewhere").iterdir())
    own.unlink() if own.is_symlink() or own.is_file() else own.rmdir()
    assert copied_notebooks(root, settings, say=print) == own


def test_forgetting_names_the_copies_that_only_their_owner_can_look_into(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ws.root / "notebooks-eve" / "pages").mkdir(parents=True)
    assert not list(closed_folders(ws.root))
    monkeypatch.setattr("optinb.base.ownership.os.access", lambda path, _: Path(path).name != "notebooks-eve")
    (named,) = [left for left in ws.forget("000001").named_in if "notebooks" in left]
    assert named == f"the folder notebooks-eve, perhaps, which is closed to others than {LOGIN}: they must look into it"
