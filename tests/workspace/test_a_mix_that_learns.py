"""Shares of variants that move from night to night by what the nights before them brought."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from page_text import text_of

import optinb
from optinb.base.erasing import ForgottenPerson
from optinb.campaigns.campaign import id_of
from optinb.campaigns.files import campaign_from
from optinb.delivery.traces import erase_files
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import CampaignError, StateError
from optinb.measure.mixes import Mixes
from optinb.nightly import Night
from optinb.rules import attr, did
from optinb.show import html, text

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from optinb.campaigns.learning import Mix
    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = "Two ways"
PLAN = {
    **{name: value for name, value in CAMPAIGNS[1].items() if name != "template"},
    "name": NAME,
    "group": "Gifted",
    "control": 0.2,
    "measurement_days": 1,
    "variants": [
        {"name": "Plain", "templates": {"ios": "Optimove_ClubNight_iOS", "android": "Optimove_ClubNight_Android"}},
        {
            "name": "Warm",
            "templates": {"ios": "Optimove_ClubNight_iOS", "android": "Optimove_ClubNight_Android"},
            "properties": {"promo_code": {"value": "WARM"}},
        },
    ],
    "learning": {"figure": "response", "floor": 0.1, "least": 30, "winner": 0.999, "seed": 7},
}
FIRST, SECOND = RUN_DATE + timedelta(days=1), RUN_DATE + timedelta(days=4)


def moment(day: date, clock: str = "02:05") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}:00+01:00")


def deliver(folder: Path, day: date, purchases: list[tuple[str, datetime, str]], patch: pytest.MonkeyPatch) -> None:
    """Imports a day's delivery of the sample's customers with these purchases: of whom, when and what."""
    shutil.copytree(folder / "inbox" / str(RUN_DATE), folder / "inbox" / str(day))
    for old in (folder / "inbox" / str(day)).glob("transactions*"):
        old.unlink()
    head = "transaction_id,customer_id,occurred_at,amount,currency,quantity,product,category"
    rows = [f"{day}-{n},{who},{at.isoformat()},30,EUR,1,{what},home" for n, (who, at, what) in enumerate(purchases)]
    (folder / "inbox" / str(day) / "transactions.csv").write_text("\n".join([head, *rows]) + "\n")
    patch.setenv("OPTINB_NOW", moment(day).isoformat())
    with optinb.open_workspace(folder, user=AUTHOR) as ws:
        ws.import_delivery(day, accept_anyway="few purchases")


def run(folder: Path, day: date) -> NightSummary:
    night = Night(optinb.open_workspace(folder, user=SCHEDULER), day)
    try:
        for step in (night.templates, night.audiences, night.sends):
            step()
        return night.report()
    finally:
        night.close()


def variants(ws: Workspace, day: date) -> dict[str, str]:
    """Which variant each recipient of a night got."""
    columns = ("customer_id", "variant", "role")
    rows = pl.concat([ws.contacts.rows(one, columns) for one in ws.store.deliveries.messages(id_of(NAME), day)])
    return dict(rows.filter(pl.col("role") == "recipient").select("customer_id", "variant").unique().iter_rows())


def mix(ws: Workspace, day: date) -> Mix:
    found = ws.mixes.of(ws.campaigns.get(NAME).campaign, day)
    assert found is not None
    return found


def test_the_better_variant_goes_to_more_of_the_new_and_whoever_got_one_keeps_it(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.groups.save("Gifted", did("purchase").where(attr("product") == "gift").within(days=30))
    ws.groups.save("Anybody", did("purchase").within(days=400))
    club = ws.campaigns.audience(
        ws.campaigns.resolve(campaign_from({**CAMPAIGNS[1], "group": "Anybody", "control": 0}))
    )
    everybody = club.filter(pl.col("outcome") == "recipient")["customer_id"].to_list()
    early, late = everybody[::2], everybody[1::2]
    deliver(folder, FIRST, [(who, moment(RUN_DATE, "12:00"), "gift") for who in early], monkeypatch)
    with optinb.open_workspace(folder, user=AUTHOR) as author:
        author.campaigns.submit(PLAN)
        preview = author.campaigns.preview(NAME)
        assert preview.mix is not None and preview.shares == {"Plain": 0.5, "Warm": 0.5}
        assert "as planned until 30 customers of each can be told of" in text(preview)
        assert "The mix of that night: Plain 50%, Warm 50%" in text_of(html(preview))
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    with monkeypatch.context() as patch:
        patch.setattr(Mixes, "keep", lambda *_: 1 / 0)
        broken = run(folder, FIRST)
    assert "ZeroDivisionError" in (broken.campaigns[0].held or "") and broken.exit_code == 1
    assert run(folder, FIRST).campaigns[0].held is None
    with optinb.open_workspace(folder, user=AUTHOR) as author:
        first = variants(author, FIRST)
        assert mix(author, FIRST).shares == {"Plain": 0.5, "Warm": 0.5}
    warm = [who for who, name in first.items() if name == "Warm"]
    assert min(len(warm), len(first) - len(warm)) >= 30
    bought = [(who, moment(FIRST, "20:00"), "shoes") for who in warm]
    gifts = [(who, moment(FIRST, "12:00"), "gift") for who in late]
    deliver(folder, SECOND, bought + gifts, monkeypatch)
    assert run(folder, SECOND).campaigns[0].held is None
    file = folder / "mixes" / id_of(NAME) / f"{SECOND}.json"
    kept = file.read_bytes()
    (file.parent / f"._{file.name}").write_bytes(b"of a desktop")
    # an id of five digits is no count elsewhere
    person = ForgottenPerson({"12345"}, stand_in="gone")
    file.write_bytes(kept.replace(b'"seed": 7', b'"seed": 12345'))
    assert erase_files(folder, person).rewritten == 0
    file.write_bytes(kept)
    assert run(folder, SECOND).campaigns[0].held is None and file.read_bytes() == kept
    with optinb.open_workspace(folder, user=AUTHOR) as author:
        told, second = mix(author, SECOND), variants(author, SECOND)
        assert (told.shares, told.winner) == ({"Plain": 0.1, "Warm": 0.9}, "Warm")
        assert [told.learned[name].mean for name in ("Warm", "Plain")] == pytest.approx([1.0, 0.0])
        both = first.keys() & second.keys()
        assert len(both) > 50 and all(first[who] == second[who] for who in both)
        new = [second[who] for who in second.keys() - first.keys()]
        assert len(new) > 50 and 0.8 < new.count("Warm") / len(new) < 0.98
        held_out = author.contacts.rows(author.store.deliveries.messages(id_of(NAME), SECOND)[0])
        assert held_out.filter(pl.col("role") == "control").height == pytest.approx(0.2 * len(everybody), rel=0.4)
    with optinb.open_workspace(folder, user=AUTHOR) as author:
        before = author.results(NAME)
        author.campaigns.submit({**PLAN, "control": 0.6})
        after = author.results(NAME)
        assert after.planned == pytest.approx(before.planned) and after.planned["control"] == pytest.approx(0.2)
        told = [one.arms[0].figures["response"] for one in (before, after)]
        assert told[0].low == pytest.approx(told[1].low) and not (before.doubt or after.doubt)
    file.write_bytes(kept.replace(b"0.9", b"0.8"))
    with optinb.open_workspace(folder, user=AUTHOR) as author, pytest.raises(StateError, match="don't follow from"):
        mix(author, SECOND)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"control": 0.0}, "hold somebody out, such as control = 0.1"),
        ({"measurement_days": 0}, "give it one, such as measurement_days = 14"),
        ({"variants": PLAN["variants"][:1]}, "takes two variants"),
        ({"schedule": CAMPAIGNS[0]["schedule"]}, "let it recur"),
        ({"learning": {"figure": "response", "floor": 0.49, "seed": 1}}, None),
        ({"learning": {"figure": "response", "floor": 0.5}}, "floor"),
        ({"learning": {"figure": "clicks"}}, "write one of 'response', 'spend', 'orders'"),
        ({"learning": {"figure": "spend", "flor": 0.1}}, "did you mean 'floor'"),
    ],
)
def test_what_a_mix_cannot_be_learned_without_is_said(ws: Workspace, changed: dict, said: str | None) -> None:
    ws.groups.save("Gifted", did("purchase").within(days=30))
    if said is None:
        assert ws.campaigns.submit({**PLAN, **changed}).campaign.learning is not None
        return
    with pytest.raises(CampaignError, match=said):
        ws.campaigns.submit({**PLAN, **changed})


def test_an_approval_is_of_how_the_shares_move(ws: Workspace, folder: Path) -> None:
    ws.groups.save("Gifted", did("purchase").within(days=30))
    ws.campaigns.submit(PLAN)
    before = ws.campaigns.preview(NAME)
    ws.campaigns.submit({**PLAN, "learning": {**PLAN["learning"], "seed": 8}})
    after = ws.campaigns.preview(NAME)
    assert before.fingerprint != after.fingerprint
    assert "seed 7" in str(before.parts) or '"seed":7' in str(before.parts)
