"""The states of a campaign and what leads from one to another: a table, and nothing else decides. Pure."""

from __future__ import annotations

from typing import Literal

from optinb.errors import CampaignError

CampaignState = Literal["draft", "submitted", "approved", "rejected", "held", "running", "paused", "done", "cancelled"]
Step = Literal["draft", "submit", "approve", "reject", "hold", "run", "pause", "resume", "finish", "cancel"]

# `hold`, `run` and `finish` are the night's, all others are people's.
TRANSITIONS: dict[CampaignState, dict[Step, CampaignState]] = {
    "draft": {"draft": "draft", "submit": "submitted", "cancel": "cancelled"},
    "submitted": {
        "draft": "draft",
        "submit": "submitted",
        "approve": "approved",
        "reject": "rejected",
        "cancel": "cancelled",
    },
    "approved": {
        "submit": "submitted",
        "hold": "held",
        "run": "running",
        "pause": "paused",
        "finish": "done",
        "cancel": "cancelled",
    },
    "rejected": {"draft": "draft", "submit": "submitted", "cancel": "cancelled"},
    # What held it may have passed: then the night runs it under the approval that it has.
    "held": {
        "submit": "submitted",
        "approve": "approved",
        "reject": "rejected",
        "hold": "held",
        "run": "running",
        "pause": "paused",
        "finish": "done",
        "cancel": "cancelled",
    },
    "running": {
        "submit": "submitted",
        "hold": "held",
        "run": "running",
        "pause": "paused",
        "finish": "done",
        "cancel": "cancelled",
    },
    # Paused, it keeps its approval, which may expire meanwhile.
    "paused": {"submit": "submitted", "resume": "approved", "cancel": "cancelled"},
    "done": {},
    "cancelled": {"draft": "draft", "submit": "submitted"},
}
# States in which a night looks at a campaign's approval.
ALIVE: tuple[CampaignState, ...] = ("approved", "held", "running")

_WORDS: dict[Step, str] = {"draft": "made a draft", "submit": "submitted", "approve": "approved", "reject": "rejected",
                           "hold": "held", "run": "run", "pause": "paused", "resume": "resumed",
                           "finish": "finished", "cancel": "cancelled"}  # fmt: skip


def next_state(state: CampaignState, step: Step, *, name: str) -> CampaignState:
    """The state that a step leads to. Raises CampaignError saying what may be done instead."""
    found = TRANSITIONS[state].get(step)
    if found is None:
        steps = [_WORDS[other] for other in TRANSITIONS[state] if other not in ("hold", "run", "finish")]
        instead = f"it can be {' or '.join(steps)}" if steps else "copy it under another name"
        raise CampaignError(f"campaign {name!r} is {state} and can't be {_WORDS[step]}; {instead}")
    return found
