"""What results said when they became final: noted by nights in sealed files, and what has changed since.

Figures themselves are never kept: they follow the tables. A note has no name of a campaign and no sentence, so that
forgetting a person never has to change it.
"""

from __future__ import annotations

from hashlib import sha256
from math import inf, isinf
from typing import TYPE_CHECKING, cast

import msgspec
from msgspec.structs import replace

from optinb.base.figures import amount, day, many
from optinb.base.files import write_atomically
from optinb.errors import StateError
from optinb.measure.arms import ArmResult
from optinb.measure.effect import CONTROL, Effect
from optinb.measure.final_note import FinalNote, NotedFigure
from optinb.measure.result import CampaignResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from pathlib import Path

    from optinb.measure.arms import Figure

FOLDER, TAIL = "results", ".result.json"
SMALL = 0.005
"""An amount below which nothing has changed but the last digits of a sum."""


class _File(msgspec.Struct, frozen=True):
    seal: str
    said: msgspec.Raw


class NotedResults:
    """The notes of a workspace, a file for each campaign."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, campaign_id: str) -> tuple[FinalNote, ...]:
        """What a campaign's results said when they became final, each once; none where nothing was noted.

        Args:
            campaign_id: of the campaign.

        Raises:
            StateError: for a file that can't be read, or isn't what a night wrote.
        """
        path = self._path(campaign_id)
        try:
            file = msgspec.json.decode(path.read_bytes(), type=_File)
            if sha256(bytes(file.said)).hexdigest() != file.seal:
                raise StateError(self._distrusted(path, "was changed since it was written"))
            return msgspec.json.decode(file.said, type=tuple[FinalNote, ...])
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StateError(self._distrusted(path, f"can't be read ({error.strerror})")) from error
        except msgspec.DecodeError as error:
            raise StateError(self._distrusted(path, "is damaged")) from error

    def add(self, campaign_id: str, notes: Sequence[FinalNote]) -> None:
        """Notes what results said; what was noted of the same nights before stays.

        Args:
            campaign_id: of the campaign.
            notes: of its nights.

        Raises:
            StateError: for a file that can't be read or written.
        """
        there = self.of(campaign_id)
        known = {note.nights for note in there}
        said = msgspec.json.encode([*there, *(note for note in notes if note.nights not in known)])
        path = self._path(campaign_id)
        try:
            path.parent.mkdir(exist_ok=True)
            file = _File(sha256(said).hexdigest(), msgspec.Raw(said))
            write_atomically(path, msgspec.json.encode(file))
        except OSError as error:
            raise StateError(
                f"{path.relative_to(self._root)} can't be written ({error.strerror}), so that nobody will know later "
                "what the result said when it became final; the next night tries again"
            ) from error

    def _path(self, campaign_id: str) -> Path:
        return self._root / FOLDER / f"{campaign_id}{TAIL}"

    def _distrusted(self, path: Path, what: str) -> str:
        return (
            f"what the result said when it became final isn't known: {path.relative_to(self._root)} {what}; restore it "
            "from a copy, or remove it"
        )


def note_of(result: CampaignResult, *, night: date, now: datetime, version: int | None) -> FinalNote | None:
    """What is noted of a result; None while it isn't final, or where it shows no figure.

    Args:
        result: as it is.
        night: which notes it.
        now: in UTC.
        version: of the warehouse.
    """
    if not result.is_final or result.final_on is None or not result.arms:
        return None
    return FinalNote(
        night=night,
        noted_at=now,
        version=version,
        nights=result.nights,
        days=result.days,
        final_on=result.final_on,
        currency=result.currency,
        customers=result.customers,
        forgotten=result.forgotten,
        arms={arm.arm: {name: _noted(effect) for name, effect in arm.figures.items()} for arm in result.arms},
        sample_ratio_p=result.sample_ratio_p,
    )


def as_noted(campaign: str, note: FinalNote) -> CampaignResult:
    """A result as it was when it became final.

    Args:
        campaign: its name.
        note: of it.
    """
    held_out = note.customers.get(CONTROL, 0)
    rest = sum(note.customers.values()) - held_out
    arms = tuple(
        ArmResult(
            arm=arm,
            figures={
                cast("Figure", name): _effect(noted, note, customers=note.customers.get(arm, rest), held_out=held_out)
                for name, noted in figures.items()
            },
        )
        for arm, figures in note.arms.items()
    )
    return CampaignResult(
        campaign=campaign,
        currency=note.currency,
        days=note.days,
        nights=note.nights,
        measured_until=note.final_on,
        final_on=note.final_on,
        customers=note.customers,
        arms=arms,
        sample_ratio_p=note.sample_ratio_p,
        forgotten=note.forgotten,
    )


def with_note(result: CampaignResult, notes: Sequence[FinalNote]) -> CampaignResult:
    """A result with what it said when it became final, where that was noted of the same nights.

    Args:
        result: as it is today.
        notes: of the campaign.
    """
    note = next((one for one in notes if one.nights == result.nights), None)
    return replace(result, final=note)


def changes(result: CampaignResult) -> list[str]:
    """What has changed since a result became final, in words; nothing where nothing has, or nothing was noted.

    Args:
        result: as it is today, with its note.
    """
    if result.final is None or not result.arms:
        return []
    if result.days != result.final.days:
        return [f"the {many(result.final.days, 'day')} that were measured became {result.days:,}"]
    then, currency = as_noted(result.campaign, result.final), result.currency
    bought, spent, refunded = (
        now - before for now, before in zip(_totals(result.arms[0]), _totals(then.arms[0]), strict=True)
    )
    people = sum(result.customers.values()) - sum(then.customers.values())
    forgotten = result.forgotten - then.forgotten
    found = []
    if purchases := round(bought):
        came = f"{many(purchases, 'purchase')} came late"
        found.append(came if purchases > 0 else f"{many(-purchases, 'purchase')} went")
    if abs(spent) >= SMALL and not purchases:
        found.append(f"what was spent changed by {amount(spent)} {currency}")
    if abs(refunded) >= SMALL:
        refunds = f"refunds of {amount(abs(refunded))} {currency}"
        found.append(f"{refunds} came" if refunded > 0 else f"{refunds} went")
    if people < 0 or (people and not forgotten):  # each id of a forgotten person has a row of its own
        found.append(
            f"{many(-people, 'customer')} turned out to be the same person as another"
            if people < 0
            else f"{many(people, 'customer')} turned out to be a person of their own"
        )
    if forgotten > 0:
        found.append(f"{many(forgotten, 'person', 'people')} {'was' if forgotten == 1 else 'were'} forgotten")
    return found


def final_words(result: CampaignResult) -> str:
    """What a result said when it became final, and what has changed since; nothing where there is no such thing.

    Args:
        result: as it is today, with its note.
    """
    note = result.final
    if result.final_unknown:
        return result.final_unknown
    if note is None or not note.arms:
        return "nobody noted what it said when it became final" if result.is_final and result.arms else ""
    said = f"when it became final, on {day(note.night)}, it said {as_noted(result.campaign, note).brought()}"
    if not result.arms:
        return said
    if not (found := changes(result)):
        return f"{said}; nothing has changed since"
    listed = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
    return f"{said}; since then {listed}: now it says {result.brought()}"


def _noted(effect: Effect) -> NotedFigure:
    low, high = (None if isinf(one) else one for one in (effect.low, effect.high))
    return NotedFigure(
        estimate=effect.estimate,
        low=low,
        high=high,
        p=effect.p,
        mean=effect.mean,
        control_mean=effect.control_mean,
    )


def _effect(noted: NotedFigure, note: FinalNote, *, customers: int, held_out: int) -> Effect:
    return Effect(
        estimate=noted.estimate,
        low=-inf if noted.low is None else noted.low,
        high=inf if noted.high is None else noted.high,
        p=noted.p,
        sample_ratio_p=note.sample_ratio_p,
        mean=noted.mean,
        control_mean=noted.control_mean,
        customers=customers,
        control_customers=held_out,
    )


def _totals(arm: ArmResult) -> tuple[float, float, float]:
    """Of everybody of an arm and its control group: days with a purchase, what was spent, and refunds."""
    found = []
    for name in ("orders", "spend", "net_spend"):
        effect = arm.figures[name]
        found.append(effect.mean * effect.customers + effect.control_mean * effect.control_customers)
    bought, spent, kept = found
    return bought, spent, spent - kept
