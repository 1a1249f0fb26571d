"""Runs a whole night in a process of its own, which may be killed anywhere in it."""

from __future__ import annotations

import os
from datetime import date

from optinb import open_workspace
from optinb.nightly import Night


def run(folder: str, night: date, user: str, environment: dict[str, str]) -> None:
    """All steps of the night, with the variables of the test that forks it."""
    os.environ.update(environment)
    running = Night(open_workspace(folder, user=user), night)
    for step in (running.import_delivery, running.model, running.templates, running.audiences, running.sends):
        step()
    running.report()
    running.close()
