"""A sandbox with the demo's world, and the settings of its app groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from optinb.base.settings import AppGroupSettings
from optinb.sandbox import Sandbox, demo_world

NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
Settle = Callable[..., AppGroupSettings]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The demo's Appboy over real HTTP, at three in the morning."""
    with Sandbox(demo_world(), now=NIGHT) as running:
        yield running


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Makes the settings of the app group Shop, with its key in the environment."""

    def make(api: str, *, key: str = "sandbox-shop-key", auth: str = "rest_api_key", **fields: str) -> AppGroupSettings:
        monkeypatch.setenv("OPTINB_TEST_KEY", key)
        given = {"id": "11111111-2222-3333-4444-555555555555", "name": "Shop", "key": "env:OPTINB_TEST_KEY"} | fields
        return AppGroupSettings(api=api, auth=auth, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def shop(sandbox: Sandbox, settle: Settle) -> AppGroupSettings:
    """The settings of the app group Shop on the sandbox."""
    return settle(sandbox.url)
