"""What was redeemed of a campaign's offer: by the delivered table and the codes that a night gave out."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from click.testing import CliRunner
from page_text import text_of

import optinb
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.nightly import Night
from optinb.show import html, text

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
OFFER = {"name": "Spring", "kind": "discount", "cost_of_one": 5.0, "codes": "Spring codes"}
PLAN = {
    **CAMPAIGNS[0],
    "offer": "Spring",
    "properties": {**CAMPAIGNS[0]["properties"], "promo_code": {"offer": "code"}},
}
START = datetime.fromisoformat(f"{RUN_DATE}T02:05:00+01:00")
NEXT = RUN_DATE + timedelta(days=1)


def sent_codes(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder.parent / "sandbox.jsonl").read_text().splitlines()]
    batches = [line["recipients"] for line in lines if line["endpoint"].endswith("schedule/create")]
    return {r["external_user_id"]: r["trigger_properties"]["promo_code"] for rows in batches for r in rows}


def test_a_campaign_tells_what_was_redeemed_of_its_offer_and_what_that_cost(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.codes.add("Spring codes", [f"S-{n:05}" for n in range(1_500)])
    ws.offers.save(OFFER)
    ws.campaigns.submit(PLAN)
    assert "nothing of 'Spring' has gone out yet" in text(ws.campaign_page(NAME))
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    monkeypatch.setenv("OPTINB_NOW", START.isoformat())
    running = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (running.templates, running.audiences, running.sends, running.report):
        step()
    running.close()
    assert "nor `promo_code` in transactions was ever delivered" in text(ws.campaign_page(NAME))
    assert ws.campaigns.preview(PLAN).offer_cost.earlier is None

    ids = dict(ws.customers().select("external_user_id", "customer_id").collect().iter_rows())
    codes = {ids[user]: code for user, code in sent_codes(folder).items()}
    (ann, bob, cid, dan), given = list(codes)[:4], len(codes)
    shutil.copytree(folder / "inbox" / str(RUN_DATE), folder / "inbox" / str(NEXT))
    rows = [
        f"{RUN_DATE}T19:00:00+01:00,{codes[ann]},{ann}",  # her own
        f"{RUN_DATE}T20:00:00+01:00,{codes[bob]},{ann}",  # somebody else's
        f"{RUN_DATE}T21:00:00+01:00,{codes[cid]},",  # whoever came with it
        f"{RUN_DATE}T21:30:00+01:00,S-01499,{ann}",  # that nobody got
    ]
    file = folder / "inbox" / str(NEXT) / "redemptions.csv"
    file.write_text("\n".join(["redeemed_at,code,customer_id", *rows]) + "\n")
    bought = [
        f"P-1,{ann},{RUN_DATE}T19:10:00+01:00,30,EUR,1,a,shoes,{codes[ann]}",  # of which the table tells, too
        f"P-2,{dan},{RUN_DATE}T22:00:00+01:00,30,EUR,1,b,shoes,{codes[dan]}",
        f"P-3,{dan},{RUN_DATE}T22:30:00+01:00,30,EUR,1,a,bags,",
    ]
    for old in file.parent.glob("transactions*"):
        old.unlink()
    head = "transaction_id,customer_id,occurred_at,amount,currency,quantity,product,category,promo_code"
    (file.parent / "transactions.csv").write_text("\n".join([head, *bought]) + "\n")
    monkeypatch.setenv("OPTINB_NOW", (START + timedelta(days=1)).isoformat())
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        assert later.import_delivery(NEXT).table("redemptions").loaded == 4
        found = later.redemptions.of(NAME.upper())
        assert found.select("customer_id", "redeemed_by", "by_other", "cost").rows() == [
            (ann, ann, False, 5.0),
            (bob, ann, True, 5.0),
            (cid, None, None, 5.0),
            (dan, dan, False, 5.0),
        ]
        page = later.campaign_page(NAME)
        assert page.redeemed is not None
        assert (page.redeemed.given, page.redeemed.redeemed, page.redeemed.cost) == (given, 4, 20.0)
        told = (
            f"redeemed 4 of {given:,} ({4 / given:.1%}), 1 time by somebody else than who got the code; cost 20.00 EUR"
        )
        assert told in text(page) and told in text_of(html(page))
        before = later.campaigns.preview({**PLAN, "name": "Again", "schedule": {"date": NEXT, "at": "18:30"}})
        assert before.offer_cost is not None
        assert f"(4 of {given:,}) redeemed this offer in {NAME}" in before.offer_cost.sentence()
    shown = CliRunner().invoke(main, ["campaigns", "show", NAME, "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    assert told in shown.output
    # whoever is forgotten is named by no redemption any more, and the figures stay
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        later.forget(bob)
        left = later.redemptions.of(NAME)
        assert left.height == 4 and bob not in left["customer_id"].to_list()
