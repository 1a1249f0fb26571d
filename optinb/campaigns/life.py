"""The states of a campaign and what leads from one to another: a table, and nothing else decides. Pure."""

from __future__ import annotations

from typing import Literal

from optinb.errors import CampaignError

CampaignState = Literal["draft", "submitted", "approved", "rejected", "held", "running", "paused", "done", "cancelled"]
Step = Literal[
    "draft",
    "submit",
    "approve",
    "reject",
    "hold",
    "run",
    "pause",
    "resume",
    "finish",
    "cancel",
    "archive",
    "rename",
    "reword",
]

# What a campaign that isn't there yet becomes.
FIRST: dict[Step, CampaignState] = {"draft": "draft", "submit": "submitted"}
# `hold`, `run` and `finish` are the night's, `reword` is what forgetting a customer does, all others are people's.
TRANSITIONS: dict[CampaignState, dict[Step, CampaignState]] = {
    "draft": {
        "draft": "draft",
        "submit": "submitted",
        "cancel": "cancelled",
        "archive": "draft",
        "rename": "cancelled",
        "reword": "draft",
    },
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
    "rejected": {
        "draft": "draft",
        "submit": "submitted",
        "cancel": "cancelled",
        "archive": "rejected",
        "rename": "cancelled",
    },
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
    # Cancelled only while what it has scheduled is still to go out, to recall that.
    "done": {"cancel": "cancelled", "archive": "done"},
    "cancelled": {"draft": "draft", "submit": "submitted", "archive": "cancelled", "rename": "cancelled"},
}
# States in which a night looks at a campaign's approval.
ALIVE: tuple[CampaignState, ...] = ("approved", "held", "running")

_WORDS: dict[Step, str] = {"draft": "made a draft", "submit": "submitted", "approve": "approved", "reject": "rejected",
                           "hold": "held", "run": "run", "pause": "paused", "resume": "resumed",
                           "finish": "finished", "cancel": "cancelled", "archive": "archived",
                           "rename": "put away", "reword": "reworded"}  # fmt: skip


def may(state: CampaignState | None, step: Step) -> bool:
    """Whether the table lets a campaign take a step; None: one that isn't there yet."""
    return step in (FIRST if state is None else TRANSITIONS[state])


def next_state(state: CampaignState | None, step: Step, *, name: str) -> CampaignState:
    """The state that a step leads to. Raises CampaignError saying what may be done instead."""
    steps = FIRST if state is None else TRANSITIONS[state]
    found = steps.get(step)
    if found is None:
        others = [_WORDS[other] for other in steps if other not in ("hold", "run", "finish", "reword")]
        again = state == "done" and step in FIRST
        instead = "copy it under another name" if again else f"it can be {' or '.join(others)}"
        raise CampaignError(f"campaign {name!r} is {state} and can't be {_WORDS[step]}; {instead}")
    return found
