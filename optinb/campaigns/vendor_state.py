"""Whom Appboy would filter of a night's campaigns, for every customer: arrays, so that millions are judged in a moment.

Nothing is read before a campaign asks: one whose template may be had at any time, without caps, costs nothing.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import UNSET

from optinb.campaigns.eligibility import LATE
from optinb.campaigns.messages import gets
from optinb.campaigns.vendor_filters import LONGEST_WAIT, is_counted, is_exempt, is_too_soon
from optinb.segments import first_against

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl
    from numpy.typing import NDArray

    from optinb.campaigns.placed_customers import PlacedCustomers
    from optinb.campaigns.policy import Competitor
    from optinb.campaigns.vendor_filters import ReceiptSpan, TemplateSending
    from optinb.segments import Exclusion

    Places = tuple[NDArray[np.uint32], NDArray[np.uint16] | None]

# two walls may differ so much more than the moments they mean in some zone, on Appboy's choice of the time of day
_SLACK = timedelta(days=4) + LATE + LONGEST_WAIT


class Sent(NamedTuple):
    """A campaign's night that is over, frozen or promised.

    `rows` gives, of its recipients or of its control group, customer_id and perhaps the external_user_id of then.
    """

    campaign_id: str
    sending: TemplateSending
    rows: Callable[[bool], pl.DataFrame]


class VendorState:
    """What people state of Appboy's filters, beside what it was given before and will be given tonight."""

    def __init__(
        self,
        placed: PlacedCustomers,
        *,
        zone: str,
        sent: Iterable[Sent] = (),
        controls: Callable[[str], pl.DataFrame | None] = lambda _app_group_id: None,
    ) -> None:
        """A night of which nothing is promised yet.

        Args:
            placed: the customers.
            zone: of the workspace, and of customers whose time zone isn't known.
            sent: the nights of all campaigns, in any order.
            controls: gives, by the id of an app group, external_user_id of those in Appboy's own control group.
        """
        self._placed, self._zone, self._controls = placed, zone, controls
        self._sent = sorted(sent, key=lambda one: one.sending.wall, reverse=True)
        self._places: dict[tuple[int, bool], Places] = {}
        self._in_control: dict[str, NDArray[np.bool_] | None] = {}

    def verdicts(self, places: NDArray[np.uint32], sending: TemplateSending, campaign_id: str) -> NDArray[np.uint8]:
        """For each customer what Appboy would filter of a message: 0 nothing, else a number in `CODES`.

        Raises StateError when an audience or a list that counts can't be read or was changed.
        """
        if not len(places):
            return np.zeros(len(places), dtype=np.uint8)
        found: dict[Exclusion, NDArray[np.bool_] | None] = {
            "had_template": self._had_template(places, sending, campaign_id),
            "vendor_control": self._of_control(sending.app_group_id),
            "vendor_cap": self._capped(sending),
        }
        told: dict[Exclusion, NDArray[np.bool_]] = {
            reason: mask[places] for reason, mask in found.items() if mask is not None
        }
        return first_against(told) if told else np.zeros(len(places), dtype=np.uint8)

    def promise(self, audience: pl.DataFrame, who: Competitor) -> None:
        """Adds the recipients of each message of an audience."""
        for number, sending in enumerate(who.sendings):
            mine = gets(audience, number).select("customer_id")
            self._sent.append(
                Sent(who.campaign_id, sending, lambda of_control, mine=mine: mine.clear() if of_control else mine)
            )

    @cached_property
    def _zones(self) -> tuple[str, ...]:
        return tuple(self._placed.zones(unknown=self._zone))

    def _had_template(
        self, places: NDArray[np.uint32], sending: TemplateSending, campaign_id: str
    ) -> NDArray[np.bool_] | None:
        """Who had the template so lately that Appboy filters it.

        Who was held out from it by the same campaign goes the way of those who had it, so that both groups stay alike.
        """
        window = sending.rules.window
        if window == timedelta(0):
            return None
        found = np.zeros(len(self._placed), dtype=np.bool_)
        for number, one in enumerate(self._sent):
            there = one.sending
            if (there.app_group_id, there.template_id) != (sending.app_group_id, sending.template_id):
                continue
            if window is not None and abs(there.wall - sending.wall) > window + _SLACK:
                continue
            soon = self._where(lambda zone, there=there: is_too_soon(*self._spans(there, sending, zone), window))
            if not soon:
                continue
            for of_control in (False, True) if one.campaign_id == campaign_id else (False,):
                self._mark(found, self._places_of(number, of_control)[0], soon)
            if found[places].all():
                break  # the nights before can't say more
        return found

    def _of_control(self, app_group_id: str) -> NDArray[np.bool_] | None:
        """Who is in Appboy's own control group; None where no list says who."""
        if app_group_id not in self._in_control:
            members, mask = self._controls(app_group_id), None
            if members is not None:
                listed = self._placed.people["external_user_id"].is_in(members["external_user_id"].implode())
                mask = listed.fill_null(False).to_numpy()
            self._in_control[app_group_id] = mask
        return self._in_control[app_group_id]

    def _capped(self, sending: TemplateSending) -> NDArray[np.bool_] | None:
        """Who has got as much of the app group as a stated cap allows."""
        if sending.rules.caps is UNSET or not sending.rules.caps:
            return None
        capped = np.zeros(len(self._placed), dtype=np.bool_)
        for cap in sending.rules.caps:
            counts = np.zeros(len(self._placed), dtype=np.uint16)
            for number, one in enumerate(self._sent):
                there = one.sending
                if there.app_group_id != sending.app_group_id or is_exempt(there.rules):
                    continue
                if abs(there.wall - sending.wall) > timedelta(days=7) + _SLACK:
                    continue
                where = self._where(
                    lambda zone, there=there, cap=cap: is_counted(cap, *self._spans(there, sending, zone), zone)
                )
                if where:
                    places, times = self._places_of(number, False)
                    mine = self._within(where)[places]
                    counts[places[mine]] += np.uint16(1) if times is None else times[mine]
            capped |= counts >= cap.most
        return capped

    def _spans(self, one: TemplateSending, other: TemplateSending, zone: str) -> tuple[ReceiptSpan, ReceiptSpan]:
        return one.span(zone, workspace=self._zone), other.span(zone, workspace=self._zone)

    def _where(self, holds: Callable[[str], bool]) -> frozenset[str]:
        """In which of the customers' time zones something holds."""
        return frozenset(zone for zone in self._zones if holds(zone))

    def _within(self, zones: frozenset[str]) -> NDArray[np.bool_]:
        """Who lives in one of some time zones."""
        if len(zones) == len(self._zones):
            return np.ones(len(self._placed), dtype=np.bool_)
        return self._placed.in_zones(zones, unknown=self._zone)

    def _mark(self, found: NDArray[np.bool_], places: NDArray[np.uint32], zones: frozenset[str]) -> None:
        found[places[self._within(zones)[places]]] = True

    def _places_of(self, number: int, of_control: bool) -> Places:
        """Where those are tonight whom one of the nights was for, and how many of its rows are about each."""
        key = (number, of_control)
        if key not in self._places:
            self._places[key] = self._placed.persons.places(self._sent[number].rows(of_control))
        return self._places[key]
