"""Pacing: as fast as the limit allows, and never refused for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from optinb.appboy import RateLimit
from optinb.delivery import Budget, DeliveryCounts
from optinb.delivery.budget import steady, wait_while
from optinb.delivery.pace import SOON_S, Pace, answered, ask, closed
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
    # answers bear whole seconds, so that one second more may be an hour from now too
    for reset, believed in ((now + 3_601.0, now + 3_601.0), (now + 3_602.0, 278 * 3_600.0)):
        pace = answered(Pace(an_hour=100, reserve=0.0, under_way=1), RateLimit(100, 0, reset, now), now)
        assert pace.reset == believed
    pace = answered(ask(Pace(an_hour=100, reserve=0.0), now)[0], RateLimit(100, 0, now + 3_600.0, now), now)
    assert ask(pace, now)[1] == pytest.approx(3_600.0)


def test_what_is_left_less_the_reserve_and_what_is_under_way_is_spread_over_the_rest_of_the_window() -> None:
    told = Pace(an_hour=100, reserve=0.1, limit=100, remaining=15, reset=1_030.0, slot=1_000.0)
    # of 15, 10 are kept: the next ones follow every 6, 10 and 30 seconds
    for under_way, interval in ((0, 6.0), (2, 10.0), (4, 30.0)):
        assert ask(replace(told, under_way=under_way), 1_000.0)[1] == pytest.approx(interval)
    assert ask(replace(told, under_way=5), 1_000.0)[1] == SOON_S
    assert ask(replace(told, remaining=11), 1_000.0)[1] == pytest.approx(30.0)
    assert ask(replace(told, remaining=10), 1_010.0)[1] == pytest.approx(20.0), "nothing is left: when the window ends"


def test_a_slot_is_kept_by_who_comes_at_it_or_a_little_late_and_one_that_is_missed_is_lost() -> None:
    told = Pace(an_hour=100, reserve=0.0, limit=100, remaining=10, reset=1_100.0, slot=990.0)
    assert ask(told, 999.0)[1] > 0
    for now, slot in ((1_000.0, 1_000.0), (1_001.0, 990.0 + 9.9), (1_050.0, 1_045.0)):
        taken, wait_s = ask(told, now)
        assert (wait_s, taken.under_way, taken.slot) == (0.0, 1, pytest.approx(slot))


def test_a_window_that_is_over_keeps_nobody_and_each_request_is_counted() -> None:
    spent = Pace(an_hour=100, reserve=0.0, limit=100, remaining=0, reset=1_000.0, closed_until=900.0)
    assert ask(spent, 999.0) == (spent, 1.0)
    for now in (1_000.0, 1_001.0):
        taken, wait_s = ask(spent, now)
        assert (wait_s, taken.under_way) == (0.0, 1)
        assert ask(taken, now)[1] == SOON_S, "of the new window nothing is known until an answer tells"
    assert ask(replace(spent, closed_until=1_000.0), 1_000.0)[1] == 0.0


def test_a_window_ends_by_the_largest_difference_of_the_clocks_that_was_seen() -> None:
    pace = Pace(an_hour=100, reserve=0.0)
    for ahead in (7.0, 3.0):
        pace = answered(replace(pace, under_way=1), RateLimit(100, 0, 2_000.0, 1_000.0 + ahead), 1_000.0)
        assert pace.ahead == 7.0
    assert ask(pace, 1_000.0)[1] == pytest.approx(993.0)
    # where an answer bears no date, the difference that was seen tells what an hour from now is over there
    ahead_by_an_hour = replace(pace, remaining=None, ahead=3_600.0)
    assert answered(ahead_by_an_hour, RateLimit(100, 5, 8_000.0), 1_000.0).reset == 8_000.0
    assert answered(replace(ahead_by_an_hour, ahead=0.0), RateLimit(100, 5, 8_000.0), 1_000.0).reset == 3_600.0
    # and a date counts more than the difference, which may be old
    assert answered(ahead_by_an_hour, RateLimit(100, 5, 8_000.0, 1_000.0), 1_000.0).reset == 3_600.0


def test_an_answer_of_an_earlier_window_changes_nothing_and_of_one_window_the_fewest_count() -> None:
    pace = Pace(an_hour=100, reserve=0.0, under_way=3)
    pace = answered(pace, RateLimit(100, 50, 2_000.0), 1_000.0)
    assert answered(pace, RateLimit(90, 40, 1_900.0), 1_000.0) == replace(pace, under_way=1)
    assert answered(pace, RateLimit(100, 40, 2_000.0), 1_000.0) == replace(pace, under_way=1, remaining=40)
    assert answered(pace, RateLimit(100, 60, 2_000.0), 1_000.0) == replace(pace, under_way=1, remaining=50)
    assert answered(pace, None, 1_000.0) == replace(pace, under_way=1), "one answer without figures makes none silent"
    silent = answered(Pace(an_hour=100, reserve=0.0, under_way=2), None, 1_000.0)
    assert silent.is_silent
    assert not answered(silent, RateLimit(100, 40, 2_000.0), 1_000.0).is_silent
    later = answered(pace, RateLimit(90, 80, 2_100.0), 1_000.0)
    assert (later.limit, later.remaining, later.reset, later.under_way) == (90, 80, 2_100.0, 1)


def test_nobody_goes_before_a_pause_is_over() -> None:
    pace = closed(Pace(an_hour=100, reserve=0.0), 1_060.0)
    assert ask(pace, 1_000.0)[1] == 60.0
    assert ask(closed(pace, 1_010.0), 1_060.0)[1] == 0


def test_a_small_hourly_limit_is_used_up_and_never_exceeded(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    hour_s, an_hour = 4, 120
    group = replace(world.group("Shop"), limits=Limits(an_hour=an_hour, hour_s=hour_s))
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
    world.put(replace(world.group("Shop"), limits=Limits(an_hour=40, hour_s=2)))
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


class Ticking:
    """A clock that goes on by what is slept, and what was slept."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def budget(self) -> Budget:
        return Budget(an_hour=36_000, reserve=0.0, clock=lambda: self.now, sleep=self.sleep)


def test_a_request_waits_as_long_as_its_patience_and_not_at_all_where_that_is_too_short() -> None:
    ticking = Ticking()
    budget = ticking.budget()
    budget.hold(3.0)
    assert not budget.enter(patience_s=2.9)
    assert ticking.slept == []
    assert budget.enter(patience_s=3.0)
    assert ticking.slept == [3.0]
    short = Ticking()
    other = short.budget()
    other.hold(2.1)
    assert not other.enter(), "without more patience a request waits for two seconds"
    other = short.budget()
    other.hold(2.0)
    assert other.enter()


def test_a_long_wait_looks_every_few_seconds_whether_it_still_goes_on() -> None:
    ticking = Ticking()
    budget = ticking.budget()
    budget.hold(12.0)
    assert budget.enter(patience_s=60.0)
    assert ticking.slept == [5.0, 5.0, 2.0]
    ticking = Ticking()
    budget = ticking.budget()
    budget.hold(12.0)
    assert not budget.enter(patience_s=60.0, goes_on=lambda: len(ticking.slept) < 1)
    assert ticking.slept == [5.0]
    for more, slept in ((99, [5.0, 5.0, 2.0]), (1, [5.0]), (0, [])):
        ticking = Ticking()
        wait_while(lambda most=more, told=ticking: len(told.slept) < most, 12.0, ticking.sleep)
        assert ticking.slept == slept
    ticking = Ticking()
    wait_while(lambda: len(ticking.slept) < 9, 10.0, ticking.sleep)
    assert ticking.slept == [5.0, 5.0]


def test_how_long_a_pause_is_is_told_without_asking_for_a_request() -> None:
    ticking = Ticking()
    budget = ticking.budget()
    assert (budget.pause_s(), budget.pause_s()) == (0.0, 0.0)
    budget.hold(7.0)
    budget.hold(4.0)
    assert budget.pause_s() == 7.0
    ticking.now += 7.0
    assert budget.enter()
    assert budget.pause_s() == pytest.approx(0.05), "until the answer of the one under way has told: a look"
    budget.leave(RateLimit(100, 11, 1_017.0, 1_007.0))
    assert budget.pause_s() == pytest.approx(10 / 11)


def test_who_waits_for_the_first_answer_goes_on_when_it_has_come() -> None:
    budget, entered = Budget(an_hour=36_000_000, reserve=0.0), threading.Event()
    assert budget.enter()
    second = threading.Thread(target=lambda: budget.enter() and entered.set(), daemon=True)
    second.start()
    assert not entered.wait(0.2)
    budget.leave(None)
    assert entered.wait(10)


def test_a_clock_goes_on_by_another_from_where_it_stood() -> None:
    wall, ticks = [1_000.0], [70.0]
    clock = steady(lambda: wall[0], lambda: ticks[0])
    assert clock() == 1_000.0
    wall[0], ticks[0] = 0.0, 72.5
    assert clock() == 1_002.5


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
