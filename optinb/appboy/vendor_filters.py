"""The filters behind a 201, by which Appboy keeps a message that it accepted from a customer, and their words."""

from __future__ import annotations

from typing import Literal, get_args

VendorFilter = Literal[
    "re_eligibility",
    "global_control",
    "frequency_cap",
    "max_users",
    "quiet_hours",
    "speed_limit",
    "segment",
    "control_variation",
    "liquid_abort",
    "no_push_token",
    "unknown_user",
]
VENDOR_FILTERS: tuple[VendorFilter, ...] = get_args(VendorFilter)
FILTER_WORDS: dict[VendorFilter, str] = {
    "re_eligibility": "had got the template before, and it may not be had again yet",
    "global_control": "is in the Global Control Group of the app group",
    "frequency_cap": "had got as many messages as a frequency cap of Appboy allows",
    "max_users": "came after the most customers that the template may be sent to",
    "quiet_hours": "would have got it in the quiet hours that Appboy keeps",
    "speed_limit": "waited for more than 72 hours behind the template's speed limit",
    "segment": "is outside the segment that the template targets",
    "control_variation": "is in the control variation of the template",
    "liquid_abort": "has values with which the template's text aborts",
    "no_push_token": "has no push token at Appboy, or has uninstalled the app",
    "unknown_user": "isn't known to Appboy by this external user id",
}
