"""Promotion codes of filtered messages go back to their pool, once, and to nobody else by a recovery."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from confirming_desk import ConfirmingDesk
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk, store_address

from optinb.appboy.template_rules import TemplateRules
from optinb.delivery import FrozenAudience, read_frozen
from optinb.delivery.journal import CodePool, Store
from optinb.errors import CampaignError
from optinb.sandbox import Sandbox, World, make_world
from optinb.show import text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POOL, TOMORROW = "Summer codes", NIGHT + timedelta(days=1)


@pytest.fixture
def world() -> World:
    return make_world(["Shop"], templates=["Once", "Other"])


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfirmingDesk]:
    monkeypatch.setenv(KEY_NAME, world.group("Shop").keys[0].key)
    plain = Desk(tmp_path)
    yield ConfirmingDesk(plain, sandbox, world)
    plain.store.close()


def lost_night(desk: ConfirmingDesk) -> FrozenAudience:
    """A night with codes of 60 recipients, of whom 40 had the template the day before, so that Appboy drops them."""
    codes = [f"CODE-{n:05}" for n in range(100)]
    assert isinstance(desk.desk.store.codes.add(POOL, codes, user="ann", now=NOW), CodePool)
    desk.templates.set_rules("Shop", "Once", TemplateRules(again_after_s=None))
    desk.night(40)
    desk.confirming.confirm()
    desk.go(NOW + timedelta(days=1, hours=1))
    return desk.night(60, run_date=TOMORROW, codes=POOL)


def over(desk: ConfirmingDesk) -> None:
    """Lets the time come when nothing can be late any more, and asks once more."""
    desk.go(desk.desk.now + timedelta(days=4))
    desk.confirming.confirm()


def codes_of(desk: ConfirmingDesk, frozen: FrozenAudience) -> dict[str, str]:
    """The code of each recipient, by the frozen file."""
    rows = read_frozen(desk.desk.root / frozen.path, frozen.sha256).filter(pl.col("outcome") == "recipient")
    return {user: json.loads(text)["promo"] for user, text in rows.select("external_user_id", "properties").iter_rows()}


def left(desk: ConfirmingDesk) -> int:
    return desk.desk.store.codes.get(POOL).left


def test_only_those_who_were_filtered_lose_their_codes_and_only_once(desk: ConfirmingDesk) -> None:
    frozen = lost_night(desk)
    with pytest.raises(CampaignError, match=r"nobody knows yet who was filtered.*optinb confirm --date 2026-11-24"):
        desk.confirming.give_back_codes("Summer", TOMORROW)
    desk.confirming.confirm()
    assert left(desk) == 40
    with pytest.raises(CampaignError, match="may be late until 2026-11-27"):
        desk.confirming.give_back_codes("Summer", TOMORROW)
    over(desk)
    done = desk.confirming.give_back_codes("summer", TOMORROW)
    assert (done.filtered, done.codes, left(desk)) == (40, 40, 80)
    filtered = {user for user, state in desk.fates(frozen).items() if state == "filtered"}
    store = desk.desk.store
    for place, user in enumerate(codes_of(desk, frozen)):
        has = store.codes.code_of(frozen, place)
        assert (has is None) == (user in filtered)
    again = desk.confirming.give_back_codes("Summer", TOMORROW)
    assert again.before == done.codes and done.before == 0
    assert f"{done.codes} promotion codes went back" in text(done)
    assert text(again).startswith("nothing is left to give back") and f"its {done.codes} codes went back" in text(again)
    assert (again.codes, left(desk)) == (0, 80)
    entries = [entry for entry in store.audit.list(subject="Summer") if entry.action == "codes given back"]
    assert [(entry.who, entry.detail["codes"]) for entry in entries] == [("ann", 40)]
    later = desk.plan(75, name="Later", send_at=desk.desk.now + timedelta(hours=5), run_date=TOMORROW, codes=POOL)
    kept = {code for user, code in codes_of(desk, frozen).items() if user not in filtered}
    assert not kept & set(codes_of(desk, later).values()), "who got the message keeps the code alone"
    assert left(desk) == 5


def test_what_gave_no_codes_gives_none_back(desk: ConfirmingDesk) -> None:
    desk.night(10)
    with pytest.raises(CampaignError, match="gave out no promotion codes"):
        desk.confirming.give_back_codes("Summer", NIGHT)
    with pytest.raises(CampaignError, match="did you mean 'Summer'"):
        desk.confirming.give_back_codes("Sumer", NIGHT)


@pytest.mark.parametrize("is_told", [True, False], ids=["told to the file", "lost by the file"])
def test_a_recovered_journal_gives_no_code_to_two(desk: ConfirmingDesk, is_told: bool) -> None:
    frozen = lost_night(desk)
    over(desk)
    files = sorted(desk.desk.root.glob("state.sqlite*"))
    desk.desk.store.close()
    before = {file: file.read_bytes() for file in files if file.exists()}
    answers = (desk.desk.root / frozen.path).parent / f"{frozen.campaign_id}.answers.jsonl"
    told = answers.read_bytes()
    reopen(desk)
    desk.confirming.give_back_codes("Summer", TOMORROW)
    later = desk.plan(70, name="Later", send_at=desk.desk.now + timedelta(hours=5), run_date=TOMORROW, codes=POOL)
    new = set(codes_of(desk, later).values())
    assert left(desk) == 10
    desk.desk.store.close()
    for file in desk.desk.root.glob("state.sqlite*"):
        file.unlink()
    for file, content in before.items():
        file.write_bytes(content)
    if not is_told:
        answers.write_bytes(told)
    reopen(desk)
    store = desk.desk.store
    for night in ((frozen.campaign_id, TOMORROW), (later.campaign_id, TOMORROW)):
        if why := store.recovery.why_behind(*night):
            store.recovery.rebuild(*night, why=why, user="ops", now=desk.desk.now)
    pool = store.codes.get(POOL)
    draw = store.codes.draw(POOL, pool.left)
    filtered = {user for user, state in desk.fates(frozen).items() if state == "filtered"}
    kept = {code for user, code in codes_of(desk, frozen).items() if user not in filtered}
    assert not set(draw.codes) & (new | kept), "nobody gets a code that somebody has"


def reopen(desk: ConfirmingDesk) -> None:
    """The workspace as another process opens it."""
    store = Store.open(store_address(desk.desk.root), root=desk.desk.root)
    desk.desk.store = store
    fresh = ConfirmingDesk(desk.desk, desk.sandbox, desk.world)
    desk.confirming, desk.history, desk.context = fresh.confirming, fresh.history, fresh.context
