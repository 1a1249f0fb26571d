"""A workspace with a store, a sandbox on loopback, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery_desk import KEY_NAME, NOW, Desk

from optinb.appboy import AppboyClient
from optinb.base.settings import AppGroupSettings
from optinb.sandbox import Sandbox, World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


@pytest.fixture
def world() -> World:
    return make_world(["Shop"])


@pytest.fixture
def sandbox(world: World, tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(world, journal=tmp_path / "journal.jsonl", now=NOW) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppboyClient]:
    group = world.group("Shop")
    monkeypatch.setenv(KEY_NAME, group.keys[0].key)
    settings = AppGroupSettings(id=group.id, name="Shop", api=sandbox.url, key=f"env:{KEY_NAME}")
    with AppboyClient(settings, timeout_s=10) as client:
        yield client


@pytest.fixture
def template_id(world: World) -> str:
    return world.group("Shop").campaigns[0].id
