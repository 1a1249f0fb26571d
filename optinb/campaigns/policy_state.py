"""What the contact policy knows of every customer on a day: arrays, so that millions are judged in a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from optinb.campaigns.policy import GLOBAL_CONTROL, Competitor, in_window
from optinb.segments import first_against

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from numpy.typing import NDArray

    from optinb.base.settings import PolicySection
    from optinb.campaigns.placed_customers import PlacedCustomers
    from optinb.campaigns.vendor_state import VendorState

NOBODY, SEVERAL = -1, -2


class ClaimedBy:
    """For each customer which campaign has claimed them: none, one, or several."""

    def __init__(self, size: int) -> None:
        self._who = np.full(size, NOBODY, dtype=np.int16)

    def add(self, places: NDArray[np.uint32], campaign: int) -> None:
        """Claims some customers, each of them at most once in `places`."""
        there = self._who[places]
        self._who[places] = np.where((there == NOBODY) | (there == campaign), campaign, SEVERAL)

    def by_others(self, places: NDArray[np.uint32], campaign: int) -> NDArray[np.bool_]:
        """Who is claimed by another campaign."""
        there = self._who[places]
        return (there != NOBODY) & (there != campaign)

    def by(self, places: NDArray[np.uint32], campaign: int) -> NDArray[np.bool_]:
        """Who is claimed by this campaign alone."""
        return self._who[places] == campaign


class ContactPolicyDay:
    """What the policy knows on one day of all customers: what they got, and what they are held out of.

    Customers are known by their place in `PlacedCustomers`. Contacts are added in any order, those of the past and
    those that the night has promised already; then each campaign asks whom it may have.
    """

    def __init__(self, global_control: NDArray[np.bool_], *, day: date, policy: PolicySection) -> None:
        """A day of which nothing is known yet.

        Args:
            global_control: shape (n,), who of all customers, by place, is in the lasting control group.
            day: on which the messages that are judged go out.
            policy: the contact policy of the settings.
        """
        self.day = day
        self._policy = policy
        self._size = size = len(global_control)
        self._global = global_control
        self._counts = [np.zeros(size, dtype=np.uint16) for _ in policy.caps]
        self._excluded, self._held = ClaimedBy(size), ClaimedBy(size)
        self._promised: dict[int, ClaimedBy] = {}  # by how many days ahead: those who get or await something then
        self._numbers: dict[str, int] = {}

    def add(
        self,
        places: NDArray[np.uint32],
        who: Competitor,
        *,
        control: bool = False,
        times: NDArray[np.uint16] | None = None,
    ) -> None:
        """Adds customers, each at most once, who got a campaign's message on its day, or were its control group.

        `times`: how many messages each got, under several ids; one, when it's left out.
        """
        number, gap = self._number(who), (self.day - who.day).days
        if not control:
            for cap, count in zip(self._policy.caps, self._counts, strict=True):
                if cap.app_group in (None, who.app_group_id) and in_window(cap, who.day, self.day):
                    count[places] += np.uint16(1) if times is None else times
        if 0 <= gap < who.exclusion_days:
            self._excluded.add(places, number)
        if control and 0 <= gap < who.measurement_days:
            self._held.add(places, number)
        if gap <= 0:
            self._promised.setdefault(-gap, ClaimedBy(self._size)).add(places, number)

    def verdicts(self, places: NDArray[np.uint32], who: Competitor) -> NDArray[np.uint8]:
        """For each customer what is against the campaign: 0 nothing, else a number in `reasons.CODES`."""
        number = self._number(who)
        excluded = np.zeros(len(places), dtype=np.bool_)
        if not who.ignore_others:
            excluded |= self._excluded.by_others(places, number)
        for ahead, marks in self._promised.items():
            if ahead < who.own_days:
                excluded |= marks.by_others(places, number)
        capped = np.zeros(len(places), dtype=np.bool_)
        for cap, count in zip(self._policy.caps, self._counts, strict=True):
            if cap.app_group in (None, who.app_group_id):
                capped |= count[places] >= cap.messages
        return first_against(
            {
                "global_control": self._global[places],
                "held_out": self._held.by_others(places, number),
                "exclusion_period": excluded,
                "frequency_cap": capped,
            }
        )

    def stays_in_control(self, places: NDArray[np.uint32], who: Competitor) -> NDArray[np.bool_]:
        """Who was in this campaign's control group before, and is still measured there."""
        return self._held.by(places, self._number(who))

    def _number(self, who: Competitor) -> int:
        return self._numbers.setdefault(who.campaign_id, len(self._numbers))


class ContactPolicyState:
    """The contact policy on each day that a night writes for, while its campaigns choose their customers one by one.

    `vendor` is what is known of Appboy's own filters; None where these judge nobody.
    """

    def __init__(
        self,
        placed: PlacedCustomers,
        *,
        days: Iterable[date],
        policy: PolicySection,
        vendor: VendorState | None = None,
    ) -> None:
        self.placed: PlacedCustomers = placed
        self.vendor: VendorState | None = vendor
        everybody = np.arange(len(placed), dtype=np.uint32)
        held_out = placed.persons.drawn(everybody, salt=GLOBAL_CONTROL, share=policy.global_control)
        self._days = {day: ContactPolicyDay(held_out, day=day, policy=policy) for day in sorted(set(days))}

    def on(self, day: date) -> ContactPolicyDay:
        """The policy on one of the days."""
        return self._days[day]

    def add(self, contacts: pl.Series | pl.DataFrame, who: Competitor, *, control: bool = False) -> None:
        """Adds customers who got, or are to get, a campaign's message, or who are its control group.

        `contacts`: their ids, or frames with customer_id and the external_user_id of then; each counts for everybody
        who is that person tonight.
        """
        rows = contacts.to_frame("customer_id") if isinstance(contacts, pl.Series) else contacts
        places, times = self.placed.persons.places(rows)
        for policy_day in self._days.values():
            policy_day.add(places, who, control=control, times=times)

    def promise(self, audience: pl.DataFrame, who: Competitor) -> None:
        """Adds the recipients and the control group of an audience with AUDIENCE_SCHEMA."""
        for outcome in ("recipient", "control"):
            self.add(audience.filter(pl.col("outcome") == outcome)["customer_id"], who, control=outcome == "control")
        if self.vendor is not None:
            self.vendor.promise(audience, who)
