"""Whom optinb leaves out because Appboy would filter them: in drawn worlds exactly those whom the sandbox drops."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from calling import Caller
from hypothesis import given, settings
from hypothesis import strategies as st

from optinb.appboy.template_rules import TemplateRules, VendorCap
from optinb.campaigns import PlacedCustomers, Sent, TemplateSending, VendorState
from optinb.sandbox import FrequencyCap, GlobalControl, Members, Rates, User, make_world
from optinb.segments import CODES

if TYPE_CHECKING:
    from optinb.sandbox.filters import Rule

FIRST = date(2026, 11, 23)
COMPANY = "Europe/Berlin"
ZONES = ("Europe/Berlin", "Asia/Tokyo", "America/New_York", None)
USERS = [f"u{n:02}" for n in range(12)]
RULE_OF: dict[int, Rule] = {
    CODES["had_template"]: "re_eligibility",
    CODES["vendor_control"]: "global_control",
    CODES["vendor_cap"]: "frequency_cap",
}
# a quarter past the hour: no message that is due at a full hour is near the end of a window
WINDOWS = st.sampled_from([None, 0, 11 * 3_600 + 900, 23 * 3_600 + 900, 47 * 3_600 + 900])
CAPS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["day", "week"])), max_size=2)
PLANS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 23), st.integers(0, 2), st.sets(st.sampled_from(USERS), min_size=1)),
    min_size=3,
    max_size=9,
    unique_by=lambda plan: plan[:2],
)


@settings(max_examples=40)
@given(
    windows=st.tuples(WINDOWS, WINDOWS, WINDOWS),
    capped=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    caps=CAPS,
    plans=PLANS,
    is_local=st.booleans(),
)
def test_exactly_those_are_left_out_whom_appboy_would_drop(
    windows: tuple[int | None, ...],
    capped: tuple[bool, ...],
    caps: list[tuple[int, str]],
    plans: list[tuple[int, int, int, set[str]]],
    is_local: bool,
) -> None:
    zones = {user: ZONES[n % len(ZONES)] for n, user in enumerate(USERS)}
    users = {user: User(time_zone=zone) for user, zone in zones.items()}
    world = make_world(users=users, templates=("A", "B", "C"), rates=Rates(opened=0.0, bounced=0.0, converted=0.0))
    caller = Caller(world)
    caller.now = datetime(2026, 11, 22, tzinfo=UTC)
    caller.set(
        time_zone=COMPANY,
        caps=tuple(FrequencyCap(most, per) for most, per in caps),  # type: ignore[arg-type]
        global_control=GlobalControl(Members(frozenset(USERS[:2]))),
    )
    for n in range(3):
        caller.edit(n, re_eligible_after_s=windows[n], is_capped=capped[n])
    people = pl.LazyFrame(
        {
            "customer_id": USERS,
            "external_user_id": USERS,
            "is_blocked": False,
            "is_test": False,
            "push_opt_in": True,
            "time_zone": list(zones.values()),
        }
    )
    placed = PlacedCustomers(people, pl.LazyFrame())
    sent: list[Sent] = []
    told: list[dict[str, int]] = []
    for day, hour, template, wanted in sorted(plans, key=lambda plan: plan[:2]):
        wall = datetime.combine(FIRST + timedelta(days=day), datetime.min.time().replace(hour=hour))
        stated = tuple(VendorCap(most, per) for most, per in caps) if capped[template] else ()  # type: ignore[arg-type]
        one = TemplateSending(
            app_group_id="g",
            template_id=str(template),
            clock="local" if is_local else "workspace",
            wall=wall,
            rules=TemplateRules(again_after_s=windows[template], caps=stated),
        )
        members = pl.DataFrame({"external_user_id": world.control_group("Group 1")})
        state = VendorState(placed, zone=COMPANY, sent=sent, controls=lambda _, members=members: members)
        names = sorted(wanted)
        given = np.zeros(len(names), dtype=np.uint16)
        codes = state.verdicts(placed.places(pl.LazyFrame({"customer_id": names})), one, "c", given=given).tolist()
        told.append(dict(zip(names, codes, strict=True)))
        got = pl.DataFrame({"customer_id": [name for name, code in zip(names, codes, strict=True) if code == 0]})
        sent.append(Sent("other", one, lambda _, got=got: got.cast({"customer_id": pl.String})))
        # Appboy is asked to send it to everybody all the same
        local = {"time": f"{wall:%Y-%m-%dT%H:%M:%S}", "in_local_time": True}
        moment = wall.replace(tzinfo=ZoneInfo(COMPANY)).astimezone(UTC)
        caller.schedule(*names, campaign=template, **(local if is_local else {"time": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}))
    caller.now = datetime(2026, 12, 10, tzinfo=UTC)
    for dispatch, expected in zip(world.dispatches, told, strict=True):
        fates = list(world.settled(caller.now).fates(dispatch))
        assert {fate.external_user_id for fate in fates if fate.state == "delivered"} == {
            user for user, code in expected.items() if code == 0
        }
        for fate in fates:
            if code := expected[fate.external_user_id]:
                assert RULE_OF[code] in fate.rules
