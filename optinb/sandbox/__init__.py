"""An Appboy that runs on this machine: for rehearsals, demos and tests."""

from __future__ import annotations

from optinb.sandbox.faults import Fault, load_faults, parse_faults
from optinb.sandbox.handle import ENDPOINTS, PERMISSIONS, Handled, Reply, Request, handle
from optinb.sandbox.server import Sandbox, run_sandbox, whose
from optinb.sandbox.setup import demo_world, load_world, make_world, push_campaign
from optinb.sandbox.world import AppGroup, Campaign, Key, Limits, Rates, User, World, apply

__all__ = [
    "ENDPOINTS",
    "PERMISSIONS",
    "AppGroup",
    "Campaign",
    "Fault",
    "Handled",
    "Key",
    "Limits",
    "Rates",
    "Reply",
    "Request",
    "Sandbox",
    "User",
    "World",
    "apply",
    "demo_world",
    "handle",
    "load_faults",
    "load_world",
    "make_world",
    "parse_faults",
    "push_campaign",
    "run_sandbox",
    "whose",
]
