"""A workspace: the one handle on everything, for notebooks, commands and tests."""

from optinb.workspace.campaigns import Campaigns
from optinb.workspace.clock import clock_for, clock_starting_at, is_pretended
from optinb.workspace.codes import Codes, CodesLeft
from optinb.workspace.data import CustomerDay, CustomerReach
from optinb.workspace.doctor import Diagnosis, Doctor, GroupHealth, bad
from optinb.workspace.forget import ForgottenCustomer
from optinb.workspace.groups import Groups, GroupSize
from optinb.workspace.handle import Workspace, open_workspace, workspace_folder
from optinb.workspace.history import Answer, Why, WorkspaceStatus
from optinb.workspace.inbox import Check, Example, Inbox, Quarantine, Refusal
from optinb.workspace.lists import ListRecord, Lists
from optinb.workspace.membership import Membership
from optinb.workspace.moves import Migration, SegmentMove
from optinb.workspace.over_time import Sizes
from optinb.workspace.past import PastWorkspace
from optinb.workspace.person import CustomerCard
from optinb.workspace.preview import Preview
from optinb.workspace.previewing import CampaignPreview, Rival
from optinb.workspace.recovering import Recovered
from optinb.workspace.resolved import Resolved
from optinb.workspace.samples import SampleMessage
from optinb.workspace.sends import Cancellation, Sends, Settled, Settlements
from optinb.workspace.shared import SharedGroups
from optinb.workspace.templates import GroupSync, TemplateListing, Templates
from optinb.workspace.trial import SentTest
from optinb.workspace.vocabulary import Distribution, Vocabulary
from optinb.workspace.witness import AuditCheckpoints

__all__ = [
    "Answer",
    "AuditCheckpoints",
    "CampaignPreview",
    "Campaigns",
    "Cancellation",
    "Check",
    "Codes",
    "CodesLeft",
    "CustomerCard",
    "CustomerDay",
    "CustomerReach",
    "Diagnosis",
    "Distribution",
    "Doctor",
    "Example",
    "ForgottenCustomer",
    "GroupHealth",
    "GroupSize",
    "GroupSync",
    "Groups",
    "Inbox",
    "ListRecord",
    "Lists",
    "Membership",
    "Migration",
    "PastWorkspace",
    "Preview",
    "Quarantine",
    "Recovered",
    "Refusal",
    "Resolved",
    "Rival",
    "SampleMessage",
    "SegmentMove",
    "Sends",
    "SentTest",
    "Settled",
    "Settlements",
    "SharedGroups",
    "Sizes",
    "TemplateListing",
    "Templates",
    "Vocabulary",
    "Why",
    "Workspace",
    "WorkspaceStatus",
    "bad",
    "clock_for",
    "clock_starting_at",
    "is_pretended",
    "open_workspace",
    "workspace_folder",
]
