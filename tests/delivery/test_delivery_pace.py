"""Pacing: as fast as the limit allows, and never refused for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optinb.appboy import RateLimit
from optinb.delivery import Budget, DeliveryCounts
from optinb.delivery.pace import Pace, answered, ask, closed
from optinb.sandbox import Fault, Limits, Sandbox, World

if TYPE_CHECKING:
    from delivery_desk import Desk

    from optinb.appboy import AppboyClient


@given(
    limit=st.integers(20, 400),
    window_s=st.integers(5, 60),
    ahead=st.floats(-5, 5),
    start=st.floats(0, 100),
    travel_s=st.floats(0.001, 0.05),
    others=st.integers(0, 10),
)
def test_nothing_is_refused_and_hardly_anything_is_wasted_whatever_the_clocks_say(
    limit: int, window_s: int, ahead: float, start: float, travel_s: float, others: int
) -> None:
    """A server whose clock is ahead by some seconds and whose answers tell whole ones; others use the key as well."""
    pace = Pace(an_hour=250_000, reserve=0.0)
    now, used, mine = 1_000_000.0 + start, {}, []
    first = int((now + ahead) // window_s)
    while True:
        window = int((now + ahead) // window_s)
        if window > first + 3:
            break
        pace, wait_s = ask(pace, now)
        if wait_s:
            now += min(wait_s, 0.5)
            continue
        now += travel_s / 2
        window = int((now + ahead) // window_s)
        used.setdefault(window, others)
        assert used[window] < limit, "refused"
        used[window] += 1
        mine.append(window)
        told = RateLimit(limit, limit - used[window], (window + 1) * window_s, float(int(now + ahead)))
        now += travel_s / 2
        pace = answered(pace, told, now)
    # the first whole window still learns the difference of the clocks; a request takes its time, one after the other
    possible = min(limit - others, window_s / travel_s)
    assert mine.count(first + 3) >= 0.85 * possible - 2


def test_the_reserve_is_left_to_others() -> None:
    pace = answered(Pace(an_hour=100, reserve=0.2, under_way=1), RateLimit(100, 21, 1_010.0), 1_000.0)
    pace, wait_s = ask(pace, 1_000.0)
    assert wait_s == 0
    pace = answered(pace, RateLimit(100, 20, 1_010.0), 1_001.0)
    assert ask(pace, 1_001.0)[1] == pytest.approx(9.0)


def test_until_an_answer_has_told_requests_go_out_one_at_a_time() -> None:
    pace, wait_s = ask(Pace(an_hour=100, reserve=0.0), 1_000.0)
    assert wait_s == 0
    assert ask(pace, 1_000.0)[1] == float("inf")
    assert ask(answered(pace, RateLimit(100, 99, 1_100.0), 1_000.1), 1_002.0)[1] == 0


def test_where_answers_tell_nothing_the_documented_limit_counts() -> None:
    pace = Pace(an_hour=3_600, reserve=0.5)
    pace = answered(ask(pace, 1_000.0)[0], None, 1_000.0)
    assert ask(pace, 1_000.0)[1] == pytest.approx(2.0)


@pytest.mark.parametrize("reset", [1_000_000_000_000.0, 999_999_999_999_999.0, 1_000_000.0 + 3_700.0, 2_000_000.0])
@pytest.mark.parametrize("date", [1_000_000.0, None])
def test_an_absurd_reset_holds_up_nobody_for_more_than_an_hour(reset: float, date: float | None) -> None:
    now = 1_000_000.0
    pace, _ = ask(Pace(an_hour=100, reserve=0.0), now)
    pace = answered(pace, RateLimit(100, 0, reset, date), now)
    wait_s = ask(pace, now)[1]
    assert 0 < wait_s <= 3_600
    pace, again_s = ask(pace, now + wait_s)
    assert again_s == 0
    # a server that mends its clock is believed again
    pace = answered(
        pace, RateLimit(100, 50, now + wait_s + 1_800.0, None if date is None else now + wait_s), now + wait_s
    )
    assert pace.remaining == 50 and ask(pace, now + wait_s)[1] <= 1_800 / 50


def test_a_reset_within_the_hour_is_believed_to_the_second() -> None:
    now = 1_000_000.0
    pace = answered(ask(Pace(an_hour=100, reserve=0.0), now)[0], RateLimit(100, 0, now + 3_600.0, now), now)
    assert ask(pace, now)[1] == pytest.approx(3_600.0)


def test_nobody_goes_before_a_pause_is_over() -> None:
    pace = closed(Pace(an_hour=100, reserve=0.0), 1_060.0)
    assert ask(pace, 1_000.0)[1] == 60.0
    assert ask(closed(pace, 1_010.0), 1_060.0)[1] == 0


def test_a_small_hourly_limit_is_used_up_and_never_exceeded(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    hour_s, an_hour = 4, 120
    group = msgspec.structs.replace(world.group("Shop"), limits=Limits(an_hour=an_hour, hour_s=hour_s))
    world.put(group)
    requests = 3 * an_hour
    frozen = desk.plan(requests * 10, template_id=template_id, batch_size=10)
    budget = Budget(an_hour=250_000, reserve=0.02)
    desk.on_wait = time.sleep
    counts = desk.send(client, frozen, budget=budget, concurrency=8, window_batches=40)
    assert counts == DeliveryCounts(batches=requests, accepted=requests * 10)
    assert sandbox.requests["/campaigns/trigger/schedule/create"] == requests  # none was refused
    windows = Counter(int(d.taken_at.timestamp()) // hour_s for d in sandbox.world.dispatches)
    whole = [windows[number] for number in range(min(windows) + 1, max(windows))]
    assert whole and min(whole) >= 0.95 * an_hour


def test_all_campaigns_of_an_app_group_share_a_budget(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    world.put(msgspec.structs.replace(world.group("Shop"), limits=Limits(an_hour=40, hour_s=2)))
    budget = Budget(an_hour=250_000, reserve=0.0)
    desk.on_wait = time.sleep
    nights = [desk.plan(400, template_id=template_id, name=name, batch_size=10) for name in ("One", "Two")]
    counts: list[DeliveryCounts] = []
    threads = [
        threading.Thread(
            target=lambda night=night: counts.append(desk.send(client, night, budget=budget, concurrency=4))
        )
        for night in nights
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [c.accepted for c in counts] == [400, 400]
    assert sandbox.requests["/campaigns/trigger/schedule/create"] == 80


def test_a_machine_whose_clock_is_set_back_holds_up_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = [1_000_000.0]
    monkeypatch.setattr(time, "time", lambda: wall[0])
    budget = Budget(an_hour=36_000_000, reserve=0.0)
    assert budget.enter()
    budget.leave(None)
    wall[0] -= 3_600.0
    assert budget.enter(patience_s=1.0)


def test_a_busy_appboy_slows_down_everybody_of_the_app_group(
    desk: Desk, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    sandbox.set_faults([Fault("status", nth=(1,), status=503)])
    now = [1_000.0]
    budget = Budget(an_hour=250_000, reserve=0.0, clock=lambda: now[0])
    seen: list[bool] = []

    def wait(seconds: float) -> None:
        seen.append(budget.enter(patience_s=0.5))
        now[0] += seconds

    desk.on_wait = wait
    assert desk.send(client, desk.plan(50, template_id=template_id), budget=budget).accepted == 50
    assert seen == [False] and desk.waits == [1.0]
