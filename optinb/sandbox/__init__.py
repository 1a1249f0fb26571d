"""An Appboy that runs on this machine: for rehearsals, demos and tests."""

from __future__ import annotations

from optinb.sandbox.dashboard import (
    AppGroup,
    DashboardCampaign,
    FrequencyCap,
    GlobalControl,
    Key,
    Limits,
    MaxUsers,
    Members,
    QuietHours,
    Rates,
    User,
)
from optinb.sandbox.deliveries import Fate
from optinb.sandbox.faults import Fault, load_faults, parse_faults
from optinb.sandbox.handle import ENDPOINTS, PERMISSIONS, Handled, Reply, SandboxRequest, handle
from optinb.sandbox.proof import PARAMETER, proof_of, secret_of
from optinb.sandbox.server import Sandbox, run_sandbox
from optinb.sandbox.setup import demo_world, load_world, make_world, push_campaign
from optinb.sandbox.world import World, apply

__all__ = [
    "ENDPOINTS",
    "PARAMETER",
    "PERMISSIONS",
    "AppGroup",
    "DashboardCampaign",
    "Fate",
    "Fault",
    "FrequencyCap",
    "GlobalControl",
    "Handled",
    "Key",
    "Limits",
    "MaxUsers",
    "Members",
    "QuietHours",
    "Rates",
    "Reply",
    "Sandbox",
    "SandboxRequest",
    "User",
    "World",
    "apply",
    "demo_world",
    "handle",
    "load_faults",
    "load_world",
    "make_world",
    "parse_faults",
    "proof_of",
    "push_campaign",
    "run_sandbox",
    "secret_of",
]
