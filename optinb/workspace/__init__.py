"""A workspace: the one handle on everything, for notebooks, commands and tests."""

from optinb.workspace.campaigns import CampaignPreview, Campaigns, Resolved, SampleMessage
from optinb.workspace.clock import clock_for, clock_starting_at, system_clock
from optinb.workspace.groups import Groups, GroupSize
from optinb.workspace.handle import Preview, Workspace, open_workspace, workspace_folder
from optinb.workspace.history import Answer, Status, Why, status, why
from optinb.workspace.templates import GroupSync, Templates

__all__ = [
    "Answer",
    "CampaignPreview",
    "Campaigns",
    "GroupSize",
    "GroupSync",
    "Groups",
    "Preview",
    "Resolved",
    "SampleMessage",
    "Status",
    "Templates",
    "Why",
    "Workspace",
    "clock_for",
    "clock_starting_at",
    "open_workspace",
    "status",
    "system_clock",
    "why",
    "workspace_folder",
]
