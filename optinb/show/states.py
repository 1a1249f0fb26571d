"""How the values of closed sets look: their words, and the classes of their colours. Each set is named by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from optinb.appboy import Standing
    from optinb.base.settings import Platform
    from optinb.campaigns import CampaignState, Step
    from optinb.delivery.journal.rows import StateName
    from optinb.delivery.send_watch import Stage

CAMPAIGNS: dict[CampaignState, str] = {
    "draft": "",
    "submitted": "ob-warn",
    "approved": "ob-good",
    "rejected": "ob-bad",
    "held": "ob-bad",
    "running": "ob-good",
    "paused": "ob-warn",
    "done": "ob-good",
    "cancelled": "",
}
# What keeps a campaign of the calendar from going out as things stand; nothing, where its text is empty.
GOING: dict[CampaignState, tuple[str, str]] = {
    "draft": ("a draft", "ob-waits"),
    "submitted": ("not approved yet", "ob-waits"),
    "approved": ("", ""),
    "rejected": ("rejected", "ob-held"),
    "held": ("held", "ob-held"),
    "running": ("", ""),
    "paused": ("paused", "ob-waits"),
    "done": ("", ""),
    "cancelled": ("cancelled", "ob-held"),
}
STEPS: dict[Step, str] = {
    "draft": "changed",
    "submit": "submitted",
    "approve": "approved",
    "reject": "rejected",
    "hold": "held",
    "run": "ran",
    "pause": "paused",
    "resume": "resumed",
    "finish": "finished",
    "cancel": "cancelled",
    "archive": "archived",
    "rename": "renamed",
    "reword": "reworded",
}
STAGES: dict[Stage, tuple[str, str]] = {
    "planned": ("to come", ""),
    "sending": ("sending", "ob-warn"),
    "done": ("sent", "ob-good"),
    "stopped": ("recalled", "ob-bad"),
}
STANDINGS: dict[Standing, tuple[str, str]] = {
    "good": ("good", "ob-good"),
    "note": ("note", ""),
    "bad": ("bad", "ob-bad"),
    "unknown": ("can't be told", "ob-warn"),
}
DEVICES: dict[Platform, str] = {
    "ios": "On an iPhone",
    "android": "On an Android phone",
    "kindle": "On a Kindle",
    "web": "In a browser",
}
# Of a request that is made, of whose recipients the rest is still to come.
OUTCOMES: dict[StateName, str] = {
    "accepted": "ob-s-good",
    "refused": "ob-s-bad",
    "unknown": "ob-s-unknown",
    "expired": "ob-s-off",
    "cancelled": "ob-s-off",
}
# By the names of the filters that templates look them up with.
FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "campaign_kind": CAMPAIGNS.__getitem__,
    "going": GOING.__getitem__,
    "step_done": STEPS.__getitem__,
    "stage": STAGES.__getitem__,
    "standing": STANDINGS.__getitem__,
    "device": DEVICES.__getitem__,
}
