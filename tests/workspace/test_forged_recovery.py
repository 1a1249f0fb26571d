"""What a recovery rebuilds of files that anybody may have written: it waits for an approver who has seen it."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from optinb import open_workspace, show
from optinb.delivery import freeze
from optinb.delivery.journal import Accepted, send_lease
from optinb.delivery.journal.answers import AnswerLine, replay
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE, SCHEDULER
from optinb.errors import ApprovalError, Exit, StateError
from optinb.night.frozen_audience import why_not_approved
from optinb.nightly import Night

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.delivery.journal import FrozenAudience
    from optinb.measure import NightSummary
    from optinb.sandbox import Sandbox
    from optinb.workspace import Workspace

SUMMER, CLUB = (campaign["name"] for campaign in CAMPAIGNS)


def approve(folder: Path, *names: str) -> None:
    with open_workspace(folder, user=APPROVER) as boss:
        for name in names:
            boss.campaigns.approve(name, seen=boss.campaigns.preview(name))


def begun(folder: Path) -> Night:
    """A night whose audiences are frozen."""
    night = Night(open_workspace(folder, user=SCHEDULER), RUN_DATE)
    for step in (night.import_delivery, night.model, night.templates, night.audiences):
        step()
    return night


def ended(night: Night) -> NightSummary:
    try:
        night.sends()
        return night.report()
    finally:
        night.close()


def scheduled(sandbox: Sandbox) -> Counter[str]:
    return Counter(user for dispatch in sandbox.world.dispatches for user in dispatch.ids)


@pytest.fixture
def capped(folder: Path) -> None:
    """Nobody gets more than one message in a week."""
    with (folder / "optinb.toml").open("a", encoding="utf-8") as file:
        file.write("\n[[policy.caps]]\nmessages = 1\ndays = 7\n")


@pytest.fixture
def evening(ws: Workspace, folder: Path) -> Path:
    """A copy of the database with two approved campaigns."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    ws.close()
    approve(folder, SUMMER, CLUB)
    assert not list(folder.glob("state.sqlite-*"))
    shutil.copy(folder / "state.sqlite", folder.parent / "evening")
    return folder.parent / "evening"


def put_back(folder: Path, copy: Path) -> None:
    for file in folder.glob("state.sqlite*"):
        file.unlink()
    shutil.copy(copy, folder / "state.sqlite")


def plan_of(folder: Path, name: str) -> tuple[Path, FrozenAudience]:
    """A night's file of answers, and the audience that it tells of."""
    for path in (folder / "audiences").glob("*/*.answers.jsonl"):
        audience = replay(path.read_bytes()).audience
        if audience and audience.campaign_name == name:
            return path, audience
    raise AssertionError(name)


def forge(folder: Path) -> pl.DataFrame:
    """Puts everybody of tonight's tables into the file of a campaign, and into what stands beside it."""
    path, audience = plan_of(folder, SUMMER)
    frozen = pl.read_parquet(folder / audience.path)
    with open_workspace(folder, user=AUTHOR) as ws:
        people = ws.customers().select("customer_id", "external_user_id").drop_nulls().collect()
    people = people.head(frozen.filter(pl.col("outcome") == "recipient").height)
    everybody = people.select(
        *frozen.columns[:2], pl.lit("recipient").alias("outcome"), pl.lit(None, pl.String).alias("reason"),
        properties=pl.lit('{"text":"Forged"}'),
    )  # fmt: skip
    file = freeze(everybody, folder=path.parent, stem="forged")
    mine = replace(audience, path=file.path.relative_to(folder).as_posix(), sha256=file.sha256)
    mine = replace(mine, recipients=everybody.height, batches=1)
    line = AnswerLine(at=mine.planned_at, audience=mine, requests=((everybody.height, 1),), anew=True)
    path.write_bytes(msgspec.json.encode(line) + b"\n")
    return everybody


def test_what_a_recovery_rebuilds_waits_for_an_approval_of_that_very_file_and_then_goes_out_once(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    begun(folder).close()
    put_back(folder, evening)
    with open_workspace(folder, user=AUTHOR) as author:
        assert author.recover(dry_run=True).nights
        with pytest.raises(ApprovalError, match=f"{AUTHOR!r} may not recover; approvers"):
            author.recover()
        with pytest.raises(StateError, match="was put back"):
            author.sends.reconcile()
    with open_workspace(folder, user=APPROVER) as boss:
        recovered = boss.recover()
        assert [night.recipients.keys() for night in recovered.nights] == [{"planned"}] * 2
        assert f"held until an approver has looked at what was rebuilt: '{CLUB}', '{SUMMER}'" in show.text(recovered)
        assert {boss.campaigns.get(name).state for name in (SUMMER, CLUB)} == {"held"}
    held = ended(begun(folder))
    assert scheduled(sandbox) == {} and held.exit_code == Exit.CAMPAIGN_HELD
    assert all("audiences rebuilt by a recovery" in (c.held or "") for c in held.campaigns)
    with open_workspace(folder, user=APPROVER) as boss:
        told, audience = show.text(boss.campaigns.preview(SUMMER)), plan_of(folder, SUMMER)[1]
        assert f"{audience.recipients:,} of {audience.recipients:,} recipients are still to be sent to" in told
        assert f"{audience.send_at:%Y-%m-%d %H:%M} UTC, by the file with the SHA-256 {audience.sha256[:12]}" in told
    approve(folder, SUMMER)
    night = ended(begun(folder))
    sent, kept = ({c.name: c for c in night.campaigns}[name] for name in (SUMMER, CLUB))
    assert (sent.held, sent.accepted, kept.accepted) == (None, audience.recipients, 0)
    assert kept.held and set(scheduled(sandbox).values()) == {1}
    with open_workspace(folder, user=SCHEDULER) as ws:
        assert ws.checkpoints.verify().problem is None


def test_under_a_cap_a_rebuilt_night_goes_out_once_it_is_approved_by_a_preview_that_does_not_count_the_night_itself(
    folder: Path, sandbox: Sandbox, capped: None, evening: Path
) -> None:
    begun(folder).close()
    put_back(folder, evening)
    with open_workspace(folder, user=APPROVER) as boss:
        boss.recover()
        audience, preview = plan_of(folder, CLUB)[1], boss.campaigns.preview(CLUB, in_full=True)
        assert preview.waterfall.recipients == preview.after_rivals == audience.recipients > 50
    approve(folder, CLUB)
    club = {c.name: c for c in ended(begun(folder)).campaigns}[CLUB]
    assert (club.held, club.accepted) == (None, audience.recipients)


def test_a_rebuilt_night_is_not_held_by_the_size_that_its_group_has_now(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    begun(folder).close()
    put_back(folder, evening)
    with open_workspace(folder, user=APPROVER) as boss:
        boss.recover()
    approve(folder, SUMMER)
    with open_workspace(folder, user=SCHEDULER) as ws:
        record, audience = ws.campaigns.get(SUMMER), plan_of(folder, SUMMER)[1]
        assert record.approval is not None
        band = replace(record.approval.band, low=0, high=1)
        record = replace(record, approval=replace(record.approval, band=band))
        resolved = ws.campaigns.resolve(record.campaign)
        assert why_not_approved(ws, record, resolved, audience, is_known=True) is None


def test_a_forged_file_of_answers_is_not_sent_even_when_an_approver_recovers_it(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    begun(folder).close()
    forged = forge(folder)
    put_back(folder, evening)
    with open_workspace(folder, user=APPROVER) as boss:
        boss.recover()
    assert all(c.held for c in ended(begun(folder)).campaigns)
    approve(folder, SUMMER)  # whoever approves what they see still writes to nobody who has opted out
    summer = next(c for c in ended(begun(folder)).campaigns if c.name == SUMMER)
    assert (summer.accepted, summer.recipients) == (0, forged.height)
    assert "may not be written to by tonight's data" in (summer.held or "")
    assert scheduled(sandbox) == {}


def test_a_file_of_answers_under_the_name_of_another_campaign_is_not_rebuilt(folder: Path, evening: Path) -> None:
    begun(folder).close()
    (one, _), (other, _) = plan_of(folder, SUMMER), plan_of(folder, CLUB)
    shutil.copy(one, other)
    put_back(folder, evening)
    with open_workspace(folder, user=APPROVER) as boss:
        (problem,) = boss.recover().problems
    assert f"is of '{SUMMER}' of {RUN_DATE} by its text" in problem


def test_whoever_opts_out_between_freezing_and_sending_is_not_written_to_and_the_others_are_once_approved_anew(
    folder: Path, sandbox: Sandbox, evening: Path
) -> None:
    begun(folder).close()
    frozen = pl.read_parquet(folder / plan_of(folder, SUMMER)[1].path).filter(pl.col("outcome") == "recipient")
    gone, other = frozen.row(0, named=True), frozen.row(1, named=True)
    file = folder / "inbox" / RUN_DATE.isoformat() / "customers.csv"
    rows = pl.read_csv(file, infer_schema=False)
    theirs = pl.col("customer_id") == gone["customer_id"]
    rows.with_columns(push_opt_in=pl.when(theirs).then(pl.lit("false")).otherwise("push_opt_in")).write_csv(file)
    summer = next(c for c in ended(begun(folder)).campaigns if c.name == SUMMER)
    assert "(who 1 has opted out of push messages); cancel what is left" in (summer.held or "")
    assert other["external_user_id"] not in scheduled(sandbox)
    with open_workspace(folder, user=AUTHOR) as author:
        author.campaigns.cancel(SUMMER)
        author.campaigns.submit(CAMPAIGNS[0])
    approve(folder, SUMMER)
    summer = next(c for c in ended(begun(folder)).campaigns if c.name == SUMMER)
    assert (summer.held, summer.accepted) == (None, frozen.height - 1)
    assert scheduled(sandbox)[other["external_user_id"]] == 1 and gone["external_user_id"] not in scheduled(sandbox)


@pytest.mark.parametrize("what", ["opted out", "changed"])
def test_what_became_of_whoever_got_it_already_does_not_hold_the_others(
    folder: Path, sandbox: Sandbox, evening: Path, what: str
) -> None:
    begun(folder).close()
    audience = plan_of(folder, SUMMER)[1]
    frozen = pl.read_parquet(folder / audience.path).filter(pl.col("outcome") == "recipient")
    with open_workspace(folder, user=SCHEDULER) as ws:
        lease = ws.store.leases.take(send_lease(*audience.night), holder="a run", now=ws.now())
        ws.store.recovery.take_over(*audience.night, lease=lease, now=ws.now())
        (first,) = ws.store.deliveries.turn(*audience.night, lease=lease, now=ws.now(), size=1)
        answer = Accepted(dispatch_id="d", schedule_id="s")
        settled = [replace(first, state=answer)]
        ws.store.deliveries.turn(*audience.night, lease=lease, now=ws.now(), settled=settled)
        ws.store.leases.release(lease)
    column, value = {"opted out": ("push_opt_in", "false"), "changed": ("first_name", "Somebody")}[what]
    file = folder / "inbox" / RUN_DATE.isoformat() / "customers.csv"
    rows = pl.read_csv(file, infer_schema=False)
    theirs = pl.col("customer_id") == frozen["customer_id"][0]
    rows.with_columns(pl.when(theirs).then(pl.lit(value)).otherwise(column).alias(column)).write_csv(file)
    summer = next(c for c in ended(begun(folder)).campaigns if c.name == SUMMER)
    assert (summer.held, summer.accepted) == (None, audience.recipients)
    assert sum(scheduled(sandbox).values()) >= audience.recipients - first.size
