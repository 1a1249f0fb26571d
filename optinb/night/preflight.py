"""The look before a night begins: what it needs of this machine and of the app groups that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.workspace import MACHINE, Diagnosis, group_health, machine_health

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.settings import AppGroupSettings
    from optinb.workspace import Workspace

# Without these nothing can go to an app group tonight; others that are missing only limit what is asked afterwards.
_MUST = ("credential", "permission campaigns.list", "permission campaigns.details")


def examine_night(ws: Workspace, run_date: date, groups: Iterable[AppGroupSettings]) -> Diagnosis:
    """The verdicts on this machine and on the app groups that are due. Nothing is changed there or here."""
    found = (group_health(ws, group, most_looks=0) for group in groups)
    return Diagnosis.of((machine_health(ws, run_date), *found))


def unready(found: Diagnosis) -> dict[str, str]:
    """Names of app groups to which nothing can go tonight, and why."""
    return {
        health.app_group: f"{health.app_group!r} isn't ready: " + "; ".join(v.text for v in stops)
        for health in found.app_groups
        if health.app_group != MACHINE and (stops := [v for v in health.bad if v.about in _MUST])
    }


def problems(found: Diagnosis) -> tuple[str, ...]:
    """What must be mended before the next night, a sentence each."""
    whole = unready(found)
    others = (
        f"{health.app_group}: {verdict.about}: {verdict.text}"
        for health in found.app_groups
        for verdict in health.bad
        # that nobody answers may be over when the templates are asked for
        if verdict.about not in (*_MUST, "reachable", "addresses")
    )
    return (*whole.values(), *others)
