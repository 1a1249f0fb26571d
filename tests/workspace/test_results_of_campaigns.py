"""What a night's campaign brought, by the purchases that later deliveries tell of."""

from __future__ import annotations

import json
import re
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
from optinb.engine.persons import in_share
from optinb.errors import UsageError
from optinb.measure import FinalResults
from optinb.nightly import Night
from optinb.show import html, text
from optinb.views.places import TabPlace

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.measure import CampaignResult, FunnelStep
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]
PLAN = {**CAMPAIGNS[0], "control": 0.3, "measurement_days": 7}
START = datetime.fromisoformat(f"{RUN_DATE}T02:05:00+01:00")


def draw_lasting_control(folder: Path, share: float) -> None:
    """Sets the share of the lasting control group."""
    file = folder / "optinb.toml"
    file.write_text(
        re.sub(r"(?m)^(# )?global_control = .*", f"global_control = {share}", file.read_text("utf-8")), "utf-8"
    )


def whole_programme(ws: Workspace, recipients: list[str]) -> None:
    """Everybody of the first delivery is compared with their lasting control group, which no message went to."""
    everybody = ws.customers_on(RUN_DATE).collect()["customer_id"]
    held_out = everybody.filter(in_share(everybody, salt="global control", share=0.2))
    assert not {*held_out} & {*recipients}
    found = ws.programme(since=RUN_DATE, until=RUN_DATE + timedelta(days=8))
    assert found.is_final and found.received == 0 and found.problem == ""
    assert found.customers == {"programme": len(everybody) - len(held_out), "control": len(held_out)}
    (part,) = found.campaigns
    assert (part.campaign, part.is_final, part.customers) == (NAME, True, len(recipients))
    assert part.whole is not None and part.is_found
    assert part.whole.figures["spend"].estimate == pytest.approx(ws.results(NAME).arms[0].figures["spend"].estimate)
    assert found.sentence() in text(found) and "other or overlapping" in text_of(html(found))
    early = ws.programme(since=RUN_DATE - timedelta(days=1), until=RUN_DATE + timedelta(days=8))
    assert f"ask since {RUN_DATE}" in early.sentence() and len(early.campaigns) == 1
    with pytest.raises(UsageError, match="name days such as"):
        ws.programme(since="0001-01-01")
    with pytest.raises(UsageError, match="name days such as"):
        ws.programme(until="9999-12-31")
    ahead = ws.programme(since=RUN_DATE + timedelta(days=30))
    assert "no table that was delivered so far tells of purchases in it" in ahead.sentence()


def steps_of(result: CampaignResult, arm: str = "message") -> dict[str, FunnelStep]:
    """The steps of an arm of a campaign's funnel."""
    assert result.funnel is not None
    return {one.step: one for of in result.funnel.arms if of.arm == arm for one in of.steps}


def day_by_day(so_far: CampaignResult, final: CampaignResult) -> None:
    """The charts of a result three days after its message, and once its window of seven is over."""
    assert so_far.over_days is not None and final.over_days is not None
    assert {row.day for row in so_far.over_days.rows} == {1, 2} and not so_far.over_days.is_final
    assert f"{sum(so_far.customers.values()):,} customers have come to day 2 of 7" in text_of(html(so_far))
    last = {row.figure: row for row in final.over_days.rows if row.day == 7}
    for figure in ("response", "spend"):
        effect = final.arms[0].figures[figure]
        said = (last[figure].estimate, last[figure].low, last[figure].high)
        assert said == pytest.approx((effect.estimate, effect.low, effect.high))
    steps, held_out = steps_of(final), steps_of(final, "control")
    assert steps["assigned"].customers == final.customers["message"] == steps["accepted"].customers
    assert held_out["assigned"].customers == final.customers["control"]
    assert (steps["target group"].customers or 0) > sum(final.customers.values())
    assert steps["confirmed"].customers is None and "not known" in text_of(html(final))  # nobody has asked
    effect = final.arms[0].figures["response"]
    assert (steps["bought"].share, held_out["bought"].share) == pytest.approx((effect.mean, effect.control_mean))
    assert "bought so far" in text(so_far) and "bought so far" not in text(final)


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
        later.import_delivery(day, accept_anyway="few purchases")


def test_a_campaign_tells_what_it_brought_once_its_window_is_over_and_follows_what_comes_late(
    ws: Workspace, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_lasting_control(folder, 0.2)
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
        patch.setattr(FinalResults, "tonight", lambda *_: 1 / 0)
        failed = running.report()
    assert failed.exit_code == 0 and any("what campaigns brought: " in one for one in failed.warnings)
    measuring = running.report().measuring
    assert [one.campaign for one in measuring] == [NAME] and measuring[0].until.date() == RUN_DATE + timedelta(days=7)
    assert f"{NAME} (until" in text_of((running.folder / "report.html").read_text())
    running.close()
    untold = ws.results(NAME)
    assert "no table that was delivered so far tells of purchases after it was sent" in text(untold)
    assert untold.over_days is None and steps_of(untold)["bought"].customers is None  # which is not that nobody did
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
        assert so_far.final is None and "nobody noted" not in text(so_far)
        assert later.final_results.tonight(RUN_DATE + timedelta(days=3)).final == ()
        assert later.uplift(NAME).sentence().startswith("no ranking: its last window ends on 2026-11-30, and the ")
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
        day_by_day(so_far, final)
        assert later.results(NAME, night=RUN_DATE).customers == sizes and not final.is_doubtful
        other = later.results(NAME, night="2026-01-01")
        assert "nothing of it went out in the night of 2026-01-01" in text(other)
        ranked = later.uplift(NAME.upper())
        assert "no ranking: too few bought, or were held out" in text(ranked) and ranked.ranking is None
        assert ranked.control_customers == sizes["control"] and (ranked.more_held_out or 0) > 0
        by = later.results(NAME, parts=True)
        assert {part.by for part in by.parts} == {"platform", "stage"} and by.untold == ()
        assert "exploratory: of " in text(by) and "exploratory: of " in text_of(html(by))
        assert final.sentence() in text(final) and " points (" in text(final) and "% (" in text(final)
        assert "Keep it" in text_of(html(final))
        assert "nobody noted what it said when it became final" in text(final)
        tonight = later.final_results.tonight(later.today())
        (card,), noted = tonight.final, (folder / "results").glob("*")
        assert (card.campaign, card.note.nights, card.note.version) == (NAME, (RUN_DATE,), later.snapshot().version)
        (file,) = noted
        once = file.read_bytes()
        assert later.final_results.tonight(later.today()) == tonight and file.read_bytes() == once
        assert later.final_results.tonight(later.today() + timedelta(days=1)).final == ()
        assert not any(f'"{one}"'.encode() in once for one in (*ids["recipient"], *ids["control"], NAME))
        assert "nothing has changed since" in text(later.results(NAME))
        whole_programme(later, ids["recipient"])
        later.forget(ids["control"][0])  # whose purchases are gone; the group stays as large as it was
        forgotten = later.results(NAME)
        assert forgotten.customers == sizes and file.read_bytes() == once
        assert "1 customer has left the tables since, or asked to be forgotten" in text(forgotten)
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
        assert f"{NAME!r}: what the result said" in later.final_results.tonight(later.today()).problems[0]
        assert file.read_bytes() == once[:50]  # what is damaged stays as it is
        file.write_bytes(once)
        (listed,) = later.results().results
        assert listed.over_days is None and listed.funnel is None  # which cost more than the list may
        assert listed.campaign == NAME and later.results().frame()["advice"].unique().to_list() == ["keep"]
        with pytest.raises(UsageError, match="give its name"):
            later.results(night=RUN_DATE)
        audience = later.contacts.nights()[0].path
        view = views.results(later)
        assert "1 campaign went out" in text_of(view.answer.value) and view.chosen == ""
        view.picked.value = NAME  # a click in the list
        assert view.chosen == NAME and "since then 2 purchases came late" in text_of(view.answer.value)
        assert view.answer.value.count("<svg") == 3 and "Difference by days since the message" in view.answer.value
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
    assert [row["day"] for row in told["over_days"]["rows"]] == [day for day in range(1, 8) for _ in range(2)]
    assert [one["step"] for one in told["funnel"]["arms"][0]["steps"]][:2] == ["target group", "assigned"]
    shown = CliRunner().invoke(main, ["uplift", NAME, "--json", "-w", str(folder)], env={"OPTINB_USER": AUTHOR})
    assert json.loads(shown.output)["customers"] == sizes["message"]
    saving = ["uplift", NAME, "--save", "Moved", "-w", str(folder)]
    refused = CliRunner().invoke(main, saving, env={"OPTINB_USER": AUTHOR})
    assert refused.exit_code and "nobody can be chosen by the uplift of" in refused.output
    page = folder / "programme.html"
    given = ["programme", "--since", str(RUN_DATE), "--json", "--page", str(page), "-w", str(folder)]
    told = json.loads(CliRunner().invoke(main, given, env={"OPTINB_USER": AUTHOR}).output)
    assert told["campaigns"][0]["campaign"] == NAME and told["until"] == str(RUN_DATE + timedelta(days=10))
    assert "the programme brought" in text_of(page.read_text("utf-8"))
    draw_lasting_control(folder, 0.5)
    with optinb.open_workspace(folder, user=AUTHOR) as other:
        assert f"ask since {RUN_DATE + timedelta(days=1)}" in other.programme(since=RUN_DATE).sentence()
