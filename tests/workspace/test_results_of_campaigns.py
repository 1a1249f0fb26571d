"""What a night's campaign brought, by the purchases that later deliveries tell of."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner
from page_text import text_of

import optinb
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import UsageError
from optinb.nightly import Night
from optinb.show import html, text

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
PLAN = {**CAMPAIGNS[0], "control": 0.3, "measurement_days": 7}
START = datetime.fromisoformat(f"{RUN_DATE}T02:05:00+01:00")


def deliver(folder: Path, days: int, purchases: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports what comes so many days later, with purchases in place of the sample's."""
    day = RUN_DATE + timedelta(days=days)
    shutil.copytree(folder / "inbox" / str(RUN_DATE), folder / "inbox" / str(day))
    for old in (folder / "inbox" / str(day)).glob("transactions*"):
        old.unlink()
    head = "transaction_id,customer_id,occurred_at,amount,currency,quantity,product,category"
    (folder / "inbox" / str(day) / "transactions.csv").write_text("\n".join([head, *purchases]) + "\n")
    monkeypatch.setenv("OPTINB_NOW", (START + timedelta(days=days)).isoformat())
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        later.import_delivery(day, accept_anyway="other purchases")


def test_a_campaign_tells_what_it_brought_once_its_window_is_over_and_follows_what_comes_late(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.campaigns.submit(PLAN)
    assert "no result: nothing of it has gone out yet" in text(ws.results(NAME))
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    monkeypatch.setenv("OPTINB_NOW", START.isoformat())
    running = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (running.templates, running.audiences, running.sends, running.report):
        step()
    running.close()
    assert "no table that was delivered so far tells of purchases after it was sent" in text(ws.results(NAME))
    monkeypatch.setenv("OPTINB_NOW", (START + timedelta(days=30)).isoformat())
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        assert f"transactions was delivered last on {RUN_DATE}, 30 days before this night" in text(later.results(NAME))
    (night,) = ws.contacts.nights()
    rows = ws.contacts.rows(night)
    ids = {role: rows.filter(pl.col("role") == role)["customer_id"].to_list() for role in ("recipient", "control")}
    sizes = {"message": len(ids["recipient"]), "control": len(ids["control"])}

    def bought(who: list[str], *, every: int, day: int) -> list[str]:
        when = f"{RUN_DATE + timedelta(days=day)}T12:00:00+01:00"
        return [f"P-{day}-{one},{one},{when},30,EUR,1,a,shoes" for one in who[::every]]

    deliver(folder, 3, bought(ids["recipient"], every=2, day=2) + bought(ids["control"], every=10, day=2), monkeypatch)
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        so_far = later.results(NAME.upper())
        assert not so_far.is_final and so_far.customers == sizes
        effect = so_far.arms[0].figures["response"]
        assert (round(effect.mean * effect.customers), effect.is_final) == (len(ids["recipient"][::2]), False)
        assert "than without it, so far" in text(so_far)
    # one of the window that comes late, and one after it, which doesn't count
    late = [*bought(ids["control"][1:2], every=1, day=4), *bought(ids["recipient"][1:2], every=1, day=8)]
    deliver(folder, 9, late, monkeypatch)
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        assert "active" not in later.results(NAME).arms[0].figures  # no night since has told of stages
        later.model(RUN_DATE + timedelta(days=9))
        final = later.results(NAME)
        active = final.arms[0].figures["active"]
        assert active.mean > active.control_mean and active.mean > effect.mean
        with pytest.raises(UsageError, match=r"no event 'opend' was delivered"):
            later.results(NAME, event="opend")
        assert final.is_final and final.arms[0].advice == "keep"
        effect = final.arms[0].figures["response"]
        assert round(effect.mean * sizes["message"]) == len(ids["recipient"][::2])
        assert round(effect.control_mean * sizes["control"]) == len(ids["control"][::10]) + 1
        assert final.arms[0].figures["spend"].mean == pytest.approx(30 * effect.mean)
        assert later.results(NAME, night=RUN_DATE).customers == sizes and not final.is_doubtful
        by = later.results(NAME, parts=True)
        assert {part.by for part in by.parts} == {"platform", "stage"} and by.untold == ()
        assert "exploratory: of " in text(by) and "exploratory: of " in text_of(html(by))
        assert final.sentence() in text(final) and " points (" in text(final) and "% (" in text(final)
        assert "Keep it:" in text_of(html(final))
        later.forget(ids["control"][0])  # whose purchases are gone; the group stays as large as it was
        assert later.results(NAME).customers == sizes
        assert "1 customer has left the tables since, or asked to be forgotten" in text(later.results(NAME))
    shown = CliRunner().invoke(main, ["results", NAME, "--json", "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    told = json.loads(shown.output)
    assert told["arms"][0]["figures"]["response"]["customers"] == sizes["message"]
