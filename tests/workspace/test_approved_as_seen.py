"""An approval is of what was seen, also in number, and is refused where it wouldn't count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from optinb import open_workspace
from optinb.campaigns import new_key
from optinb.delivery.audit_checkpoint import SUBJECT
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS
from optinb.errors import ApprovalError, CampaignError

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

NAME = CAMPAIGNS[0]["name"]


def test_who_saw_another_number_of_recipients_looks_again(ws: Workspace, folder: Path) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    with open_workspace(folder, user=APPROVER) as boss:
        seen = boss.campaigns.preview(NAME)
        few = replace(seen, waterfall=replace(seen.waterfall, recipients=1))
        with pytest.raises(ApprovalError, match=f"you saw 1 recipients, there are {seen.waterfall.recipients}"):
            boss.campaigns.approve(NAME, seen=few)
        some = replace(seen, waterfall=replace(seen.waterfall, recipients=seen.waterfall.recipients - 10))
        assert boss.campaigns.approve(NAME, seen=some).state == "approved"


def test_a_key_that_is_not_the_approvers_is_told_at_once(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.campaigns.submit(CAMPAIGNS[0])
    right, wrong = new_key(), new_key()
    settings = folder / "optinb.toml"
    settings.write_text(settings.read_text("utf-8") + f'\n[policy.keys]\n"{APPROVER}" = "{right.public}"\n', "utf-8")
    with open_workspace(folder, user=APPROVER) as boss:
        seen = boss.campaigns.preview(NAME)
        monkeypatch.setenv("OPTINB_SIGNING_KEY", wrong.private)
        with pytest.raises(ApprovalError, match=r"wouldn.t count: .* bear the signature"):
            boss.campaigns.approve(NAME, seen=seen)
        assert boss.campaigns.get(NAME).state == "submitted"
        monkeypatch.setenv("OPTINB_SIGNING_KEY", right.private)
        assert boss.campaigns.approve(NAME, seen=seen).state == "approved"


def test_no_campaign_is_named_as_anothers_id(ws: Workspace) -> None:
    record = ws.campaigns.submit(CAMPAIGNS[0])
    for save in (ws.campaigns.submit, ws.campaigns.save_draft):
        with pytest.raises(CampaignError, match="looks like the id of another campaign"):
            save({**CAMPAIGNS[0], "name": record.id})
    assert ws.campaigns.get(NAME) == record


def test_only_a_recovery_gives_up_the_notes_of_nights(ws: Workspace, folder: Path) -> None:
    night = folder / "runs" / "2026-11-22"
    night.mkdir(parents=True)
    ws.checkpoints.note_head(night)
    file = night / "audit-head.json"
    witness = {**msgspec.json.decode(file.read_bytes()), "head": "f" * 64}
    file.write_bytes(msgspec.json.encode(witness))
    assert ws.checkpoints.why_behind()
    ws.store.audit.note(who=AUTHOR, action="list saved", subject=SUBJECT, now=ws.now(), lost=[witness])
    assert ws.checkpoints.why_behind()
    file.unlink()
    assert ws.checkpoints.verify().problem is None
