"""The look before a night begins: what it needs of this machine and of the app groups that are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.planning import Diagnosis, Doctor, bad

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from optinb.base.settings import AppGroupSettings
    from optinb.workspace import Workspace

# Without these nothing can go to an app group tonight.
_MUST = ("credential", "permission campaigns.list", "permission campaigns.details")
# That nobody answers may be over when the templates are asked for, and denied addresses are told with a permission.
_ELSEWHERE = ("reachable", "addresses")


def examine_night(ws: Workspace, run_date: date, groups: Iterable[AppGroupSettings]) -> Diagnosis:
    """The verdicts on this machine and on the app groups that are due. Nothing is changed there or here."""
    doctor = Doctor(ws.context, runs=ws.store.runs, templates=ws.store.templates)
    return Diagnosis.of(doctor.machine(run_date), [doctor.app_group(group, most_looks=0) for group in groups])


def unready(found: Diagnosis) -> dict[str, str]:
    """Names of app groups to which nothing can go tonight, and why."""
    return {
        health.app_group: f"{health.app_group!r} isn't ready: " + "; ".join(v.text for v in stops)
        for health in found.app_groups
        if (stops := [v for v in bad(health.verdicts) if v.about in _MUST])
    }


def problems(found: Diagnosis) -> tuple[str, ...]:
    """What must be mended before the next night, a sentence each."""
    others = (
        f"{health.app_group}: {verdict.about}: {verdict.text}"
        for health in found.app_groups
        for verdict in bad(health.verdicts)
        if verdict.about not in (*_MUST, *_ELSEWHERE)
    )
    return (*unready(found).values(), *(f"{v.about}: {v.text}" for v in bad(found.machine)), *others)
