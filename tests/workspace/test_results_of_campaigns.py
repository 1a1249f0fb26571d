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
from optinb import views
from optinb.cli import main
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import UsageError
from optinb.measure import CampaignResults
from optinb.nightly import Night
from optinb.show import html, text
from optinb.views.places import TabPlace

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
        later.import_delivery(day, accept_anyway=True)


def test_a_campaign_tells_what_it_brought_once_its_window_is_over_and_follows_what_comes_late(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no campaign has gone out yet" in text(ws.results())
    ws.campaigns.submit(PLAN)
    assert "no result: nothing of it has gone out yet" in text(ws.results(NAME))
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.campaigns.approve(NAME, seen=boss.campaigns.preview(NAME))
    monkeypatch.setenv("OPTINB_NOW", START.isoformat())
    running = Night(optinb.open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (running.templates, running.audiences, running.sends):
        step()
    with monkeypatch.context() as patch:
        patch.setattr(CampaignResults, "tonight", lambda *_: 1 / 0)
        failed = running.report()
    assert failed.exit_code == 0 and any("what campaigns brought: " in one for one in failed.warnings)
    measuring = running.report().measuring
    assert [one.campaign for one in measuring] == [NAME] and measuring[0].until.date() == RUN_DATE + timedelta(days=7)
    assert f"{NAME} (until" in text_of((running.folder / "report.html").read_text())
    running.close()
    assert "no table that was delivered so far tells of purchases after it was sent" in text(ws.results(NAME))
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
        assert "more so far than without it" in text(so_far)
        assert so_far.final is None and "nobody noted" not in text(so_far)
        assert later.campaign_results.tonight(RUN_DATE + timedelta(days=3)).final == ()
    # one of the window that comes late, and one after it, which doesn't count
    late = [*bought(ids["control"][1:2], every=1, day=4), *bought(ids["recipient"][1:2], every=1, day=8)]
    deliver(folder, 9, late, monkeypatch)
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        final = later.results(NAME)
        assert final.is_final and final.arms[0].advice == "keep"
        effect = final.arms[0].figures["response"]
        assert round(effect.mean * sizes["message"]) == len(ids["recipient"][::2])
        assert round(effect.control_mean * sizes["control"]) == len(ids["control"][::10]) + 1
        assert final.arms[0].figures["spend"].mean == pytest.approx(30 * effect.mean)
        assert later.results(NAME, night=RUN_DATE).customers == sizes and not final.is_doubtful
        assert final.sentence() in text(final)
        assert "Keep it" in text_of(html(final))
        assert "nobody noted what it said when it became final" in text(final)
        tonight = later.campaign_results.tonight(later.today())
        (card,), noted = tonight.final, (folder / "results").glob("*")
        assert (card.campaign, card.note.nights, card.note.version) == (NAME, (RUN_DATE,), later.snapshot().version)
        (file,) = noted
        once = file.read_bytes()
        assert later.campaign_results.tonight(later.today()) == tonight and file.read_bytes() == once
        assert later.campaign_results.tonight(later.today() + timedelta(days=1)).final == ()
        assert not any(f'"{one}"'.encode() in once for one in (*ids["recipient"], *ids["control"], NAME))
        assert "nothing has changed since" in text(later.results(NAME))
        later.forget(ids["control"][0])  # whose purchases are gone; the group stays as large as it was
        forgotten = later.results(NAME)
        assert forgotten.customers == sizes and file.read_bytes() == once
        assert "since then 1 purchase went and 1 person was forgotten: now it says" in text_of(html(forgotten))
    refund = f"R-1,{ids['control'][1]},{RUN_DATE + timedelta(days=5)}T12:00:00+01:00,-12.5,EUR,1,a,shoes"
    deliver(folder, 11, [*bought(ids["control"][2:5], every=1, day=3), refund], monkeypatch)
    with optinb.open_workspace(folder, user=AUTHOR) as later:
        told = text(later.results(NAME))
        assert f"it said {final.brought()}; since then 2 purchases came late, refunds of 12.50 EUR came and" in told
        file.write_bytes(once.replace(b"message", b"massage"))
        untold = later.results(NAME)
        assert untold.arms and untold.advice == "keep" and untold.final is None
        assert f"{file.relative_to(folder)} was changed since it was written; restore it" in text(untold)
        file.write_bytes(once[:50])
        assert "is damaged; restore it from a copy, or remove it" in text(later.results(NAME))
        assert f"{NAME!r}: what the result said" in later.campaign_results.tonight(later.today()).problems[0]
        assert file.read_bytes() == once[:50]  # what is damaged stays as it is
        file.write_bytes(once)
        (listed,) = later.results().results
        assert listed.campaign == NAME and later.results().frame()["advice"].unique().to_list() == ["keep"]
        with pytest.raises(UsageError, match="give its name"):
            later.results(night=RUN_DATE)
        audience = later.contacts.nights()[0].path
        view = views.results(later)
        assert "1 campaign went out" in text_of(view.answer.value) and view.chosen == ""
        view.picked.value = NAME  # a click in the list
        assert view.chosen == NAME and "since then 2 purchases came late" in text_of(view.answer.value)
        bench = views.workbench(later, f"?tab=results&campaign={NAME.upper()}")
        assert bench.place == TabPlace("results", NAME)
        later.campaigns.save_draft({**CAMPAIGNS[0], "name": "Not yet"})
        bench.go_to("?tab=results&campaign=Not+yet")
        assert "nothing of 'Not yet' has gone out yet" in text_of(bench.note.value)
    every = CliRunner().invoke(main, ["results", "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    assert "1 campaign went out; 1 final result, 1 of them to keep or to stop, hardly by luck" in every.output
    lost = (folder / audience).rename(folder / "elsewhere")
    every = CliRunner().invoke(main, ["results", "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    assert every.exit_code == 0 and "no result" in every.output
    lost.rename(folder / audience)
    shown = CliRunner().invoke(main, ["results", NAME, "--json", "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    told = json.loads(shown.output)
    assert told["arms"][0]["figures"]["response"]["customers"] == sizes["message"]
    assert told["final"]["arms"]["message"]["response"]["estimate"] == pytest.approx(effect.estimate)
