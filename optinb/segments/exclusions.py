"""What becomes of the members of a target group: recipients, controls, and reasons in the one order of examination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Outcome = Literal["recipient", "control", "excluded"]
Exclusion = Literal[
    "no_app",
    "no_sdk",
    "push_off",
    "blocked",
    "test",
    "opted_out",
    "no_external_id",
    "quiet_hours",
    "property_missing",
    "same_external_id",
    "had_template",
    "vendor_control",
    "vendor_cap",
    "global_control",
    "held_out",
    "exclusion_period",
    "frequency_cap",
]
# In the order of the type: the first that applies is a customer's reason.
REASONS: dict[Exclusion, str] = {
    "no_app": "does not use these apps",
    "no_sdk": "uses only versions of them without the Appboy SDK",
    "push_off": "has push switched off in all of them",
    "blocked": "is blocked",
    "test": "is a test customer",
    "opted_out": "has opted out of push messages",
    "no_external_id": "has no external user id, by which Appboy would know them",
    "quiet_hours": "would get it in the quiet hours of their time zone",
    "property_missing": "has no value for a property that the template needs",
    "same_external_id": "is the same person as another customer of the audience, by a newer id or the external user id",
    "had_template": "had the template before, or was held out from it then, and Appboy doesn't send it again yet",
    "vendor_control": "is in Appboy's Global Control Group, to which it sends nothing",
    "vendor_cap": "has got as many messages lately as Appboy's frequency caps allow",
    "global_control": "is in the lasting control group, which gets no campaign",
    "held_out": "is held out in the control group of another campaign that is still measured",
    "exclusion_period": "is in the exclusion period of another campaign",
    "frequency_cap": "has got as many messages lately as the contact policy allows",
}
OUTCOMES: dict[str, str] = {
    "recipient": "gets the message",
    "control": "is held out in the control group",
    **REASONS,
}
# What keeps every push of an app group away from a customer, whatever the campaign.
NO_PUSH: tuple[Exclusion, ...] = (
    "no_app", "no_sdk", "push_off", "blocked", "test", "opted_out", "no_external_id",
)  # fmt: skip
# The number that stands for a reason in an array, where 0 is nothing against the message.
CODES: dict[Exclusion, int] = {reason: code for code, reason in enumerate(get_args(Exclusion), start=1)}


class Waterfall(Struct, frozen=True, kw_only=True):
    """How a target group becomes recipients; target = recipients + control + the sum of excluded."""

    target: int
    excluded: dict[str, int]
    control: int
    recipients: int

    def steps(self) -> list[tuple[str, int, int]]:
        """(what happens, customers it takes away, customers left), from the target group to the recipients."""
        left = self.target
        rows = [("target group", 0, left)]
        for what, count in (*self.excluded.items(), ("control", self.control)):
            left -= count
            rows.append((OUTCOMES[what], count, left))
        return rows


def first_against(conditions: Mapping[Exclusion, NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """For each customer the number in `CODES` of the first reason that applies, 0 where none of them does.

    `conditions`: for some reasons, in any order, whether each applies to each customer.
    """
    import numpy as np

    codes = np.zeros(len(next(iter(conditions.values()))), dtype=np.uint8)
    for reason in reversed(REASONS):
        if reason in conditions:
            codes[conditions[reason]] = CODES[reason]
    return codes
