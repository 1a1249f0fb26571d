"""Appboy's figures of campaigns, over HTTP: apart by send_id, read again, restated, with gaps; no rubbish is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk
from msgspec.structs import asdict, replace

from optinb.appboy import AppboyClient, SeriesDay
from optinb.appboy.wire import SERIES_DAYS
from optinb.base.context import Context
from optinb.base.settings import RehearsedGroup, parse_settings
from optinb.delivery import SendIds
from optinb.delivery.journal import EVERYBODY, ReachDay, end_of
from optinb.delivery.journal.reach_days import read_again
from optinb.errors import AppboyError, CampaignError
from optinb.measure import ReachFigures, in_one_line
from optinb.measure.campaign_figures import unread_days
from optinb.measure.reach_reading import rows_of
from optinb.sandbox import Fault, Rates
from optinb.show import html, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.delivery import FrozenAudience
    from optinb.sandbox import Sandbox, World

OF = ReachDay(app_group_id="shop", template_id="t", day=NIGHT, platform=EVERYBODY, read_at=NOW)
PUSH = {"sent": 5, "direct_opens": 1, "total_opens": 2, "bounces": 1}


def series(*days: dict[str, Any]) -> tuple[SeriesDay, ...]:
    return msgspec.convert(days, tuple[SeriesDay, ...])


# --- reading an answer


def test_variations_of_a_platform_are_summed_and_other_channels_left_out() -> None:
    (day,) = series(
        {
            "time": "2026-11-23",
            "messages": {"ios_push": [PUSH, {**PUSH, "sent": 7}], "web_push": [PUSH], "email": [{"sent": 99}]},
            "unique_recipients": 9,
            "conversions": 2,
        }
    )
    people, ios, web = rows_of([day], of=OF)
    assert (people.platform, people.sent, people.unique_recipients, people.conversions) == (EVERYBODY, None, 9, 2)
    assert (ios.platform, ios.sent, ios.direct_opens, ios.total_opens, ios.bounces) == ("ios", 12, 2, 4, 2)
    assert (web.platform, web.sent, web.unique_recipients) == ("web", 5, None)


@pytest.mark.parametrize(
    "messages", [{}, {"ios_push": []}, {"ios_push": [{"variation_api_id": "v"}]}, {"ios_push": [{"sent": None}]}]
)
def test_what_is_missing_is_nothing_and_no_error(messages: dict[str, Any]) -> None:
    rows = rows_of(series({"time": "2026-11-23T00:00:00Z", "messages": messages}), of=OF)
    assert rows[0].day == NIGHT and rows[0].unique_recipients == 0
    assert all(row.sent == 0 for row in rows[1:])


@pytest.mark.parametrize(
    ("day", "why"),
    [
        ({"time": "yesterday"}, "'yesterday', which is no date"),
        ({"time": "2026-11-23", "messages": {"ios_push": [{"sent": "many"}]}}, "of 2026-11-23 for ios_push"),
        ({"time": "2026-11-23", "messages": {"ios_push": [{"sent": [1]}]}}, "of 2026-11-23 for ios_push"),
        ({"time": "2026-11-23", "messages": {"ios_push": [{"bounces": -1}]}}, "say -1 for bounces, which is no count"),
        ({"time": "2026-11-23", "unique_recipients": -3}, "say -3 for unique_recipients"),
    ],
)
def test_rubbish_is_refused_and_says_what(day: dict[str, Any], why: str) -> None:
    with pytest.raises(AppboyError, match=why):
        rows_of(series(day), of=OF)


def test_a_day_that_is_told_twice_is_refused() -> None:
    with pytest.raises(AppboyError, match="2026-11-23 twice"):
        rows_of(series({"time": "2026-11-23"}, {"time": "2026-11-23"}), of=OF)


# --- reading again


def test_a_figure_that_changes_after_its_day_keeps_what_was_said_first() -> None:
    over = end_of(NIGHT)
    first = replace(OF, platform="ios", sent=5, bounces=0, read_at=over)
    second = read_again(first, replace(first, sent=6, read_at=over + timedelta(days=1)))
    assert (second.sent, second.said_first) == (6, {"sent": 5})
    third = read_again(second, replace(first, sent=7, bounces=1, read_at=over + timedelta(days=2)))
    assert third.said_first == {"sent": 5, "bounces": 0}
    assert read_again(third, replace(first, sent=5, read_at=over + timedelta(days=3))).said_first is None
    # a reading that was overtaken changes nothing
    assert read_again(third, replace(first, sent=1, read_at=over)) == third


def test_a_day_that_was_still_under_way_had_to_grow() -> None:
    early = replace(OF, platform="ios", sent=5, read_at=end_of(NIGHT) - timedelta(seconds=1))
    assert read_again(early, replace(early, sent=9, read_at=end_of(NIGHT))).said_first is None
    assert read_again(None, early) == early


# --- gaps


def test_days_that_nobody_read_after_they_were_over_are_gaps(desk: Desk) -> None:
    audience = desk.plan(10)  # sent on the 23rd
    days = [NIGHT + timedelta(days=n) for n in range(4)]
    noon = datetime(2026, 11, 27, 13, tzinfo=UTC)
    assert unread_days([audience], [], now=noon) == tuple(days)  # today isn't over
    whole, early = (replace(OF, day=days[0], read_at=noon), replace(OF, day=days[1], read_at=NOW + timedelta(days=1)))
    assert unread_days([audience], [whole, early], now=noon) == tuple(days[1:])
    # one that was read while it was under way is read by the night after its end
    late = replace(OF, day=days[3], read_at=datetime(2026, 11, 27, 2, tzinfo=UTC))
    assert unread_days([audience], [late], now=noon) == tuple(days[:3])
    assert unread_days([audience], [late], now=noon + timedelta(days=2))[3] == days[3]
    # what comes of a message later than Appboy tells of is no gap
    assert len(unread_days([audience], [], now=noon + timedelta(days=90))) == SERIES_DAYS


# --- over HTTP


class Reading:
    """Campaigns that are sent to the sandbox, and the service that reads what came of them."""

    def __init__(self, desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str) -> None:
        self.desk, self.sandbox, self.client, self.template_id = desk, sandbox, client, template_id
        shop = world.group("Shop")
        at_any_time = tuple(replace(campaign, re_eligible_after_s=0) for campaign in shop.campaigns)
        world.put(replace(shop, campaigns=at_any_time, rates=Rates(opened=0.5, bounced=0.1, converted=0.1)))
        settings = parse_settings(
            f'[workspace]\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\napprovers = ["a"]\n'
            f'[[app_groups]]\nid = "shop"\nname = "Shop"\napi = "{sandbox.url}"\nkey = "env:{KEY_NAME}"\n'
        )
        self.settings = settings
        context = Context(desk.root, settings, now=desk.clock, user="ann")
        self.figures = ReachFigures(
            context, desk.store, client=lambda group: AppboyClient(group, timeout_s=10, sleep=lambda _: None)
        )

    def send(self, **campaigns: int) -> list[FrozenAudience]:
        frozen = [self.desk.plan(count, name=name, template_id=self.template_id) for name, count in campaigns.items()]
        ids = SendIds(self.desk.store, frozen, clock=self.desk.clock)
        for one in frozen:
            sent = self.desk.send(self.client, one, identify=lambda there, hold: ids.identify(self.client, there, hold))
            assert sent.accepted == one.recipients
        return frozen

    def send_without(self, **campaigns: int) -> None:
        for name, count in campaigns.items():
            self.desk.send(self.client, self.desk.plan(count, name=name, template_id=self.template_id))

    def go_to(self, now: datetime) -> None:
        self.desk.now = now
        self.sandbox.move_clock(to=now)


@pytest.fixture
def reading(desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str) -> Reading:
    return Reading(desk, world, sandbox, client, template_id)


def sums(rows: Sequence[ReachDay]) -> dict[str, int]:
    names = ("sent", "direct_opens", "total_opens", "bounces", "conversions")
    return {name: sum(getattr(row, name) or 0 for row in rows) for name in names}


def test_two_campaigns_on_one_template_are_told_apart_and_add_up_to_it(reading: Reading) -> None:
    reading.send(Large=150, Small=70)
    reading.go_to(NOW + timedelta(days=5))
    read = reading.figures.read()
    assert (read.series, read.days, read.problems) == (3, 3 * SERIES_DAYS, ())
    large, small = reading.figures.lately()
    assert [figures.campaign for figures in (large, small)] == ["Large", "Small"]
    assert (large.nights[0].accepted, small.nights[0].accepted) == (150, 70)
    assert (large.nights[0].total("unique_recipients") or 0) > (small.nights[0].total("unique_recipients") or 0) > 0
    whole = reading.desk.store.reach_days.of_template("shop", reading.template_id)
    own = [row for figures in (large, small) for row in figures.nights[0].days]
    assert sums(own) == sums(whole) and min(sums(whole).values()) > 0
    assert (large.templates, large.nights[0].unread) == ((), ())
    fates = reading.sandbox.world.fates(reading.template_id, reading.desk.now)
    assert sum(one.nights[0].total("sent") or 0 for one in (large, small)) <= len(fates) * 2
    line = in_one_line(large)
    assert (line.accepted, line.sent, line.is_shared) == (150, large.nights[0].total("sent"), False)


def test_what_went_without_an_id_has_the_figures_of_the_template_and_says_so(reading: Reading) -> None:
    reading.send_without(Alone=60, Other=60)
    reading.go_to(NOW + timedelta(days=2))
    assert reading.figures.read().series == 1
    told = reading.figures.of("Alone")
    assert told.nights == () and told.templates[0].total("unique_recipients")
    line = in_one_line(told)
    assert (line.is_shared, line.accepted) == (True, 60)
    assert "whole template" in text(told) and "whole template" in html(told)


def test_figures_are_read_again_and_what_was_said_first_is_shown(reading: Reading) -> None:
    reading.send(Large=200)
    reading.go_to(datetime(2026, 11, 24, 2, tzinfo=UTC))  # the night after: the day isn't over everywhere
    assert reading.figures.read().restated == 0
    reading.go_to(datetime(2026, 11, 25, 2, tzinfo=UTC))
    assert reading.figures.read().restated == 0
    (night,) = reading.figures.of("large").nights
    sent = night.total("sent")
    assert sent and night.restated == 0
    # as Appboy says it otherwise than it was kept
    save = reading.desk.store.reach_days.save
    save([replace(row, sent=row.sent + 1) for row in night.by_platform if row.day == NIGHT and row.sent is not None])
    reading.go_to(datetime(2026, 11, 26, 2, tzinfo=UTC))
    assert reading.figures.read().restated > 0
    (night,) = reading.figures.of("Large").nights
    assert night.total("sent") == sent
    assert reading.figures.read().restated == 0  # the same once more


def test_nights_that_did_not_run_for_long_are_gaps_that_stay(reading: Reading) -> None:
    reading.send(Large=60)
    reading.go_to(NOW + timedelta(days=20))
    read = reading.figures.read()
    assert (read.series, read.problems) == (0, ())  # Appboy tells nothing of it any more
    (night,) = reading.figures.of("Large").nights
    assert (night.days, len(night.unread)) == ((), SERIES_DAYS)
    assert "never read: 2026-11-23" in text(reading.figures.of("Large"))
    assert "Never read: Mon 23 Nov 2026" in html(reading.figures.of("Large"))


def test_an_api_that_fails_is_told_and_leaves_what_was_read(reading: Reading) -> None:
    reading.send(Large=60, Small=10)
    reading.go_to(NOW + timedelta(days=3))
    assert reading.figures.read().problems == ()
    before = reading.figures.lately()
    reading.sandbox.set_faults([Fault("status", endpoint="/sends/data_series", status=503)])
    read = reading.figures.read()
    assert (read.series, read.exit_code) == (1, 1)  # the template's
    (problem,) = read.problems  # not one for each campaign
    assert problem.startswith("the figures of 'Large', night of 2026-11-23 couldn't be read: app group 'Shop'")
    assert [sums(figures.nights[0].days) for figures in reading.figures.lately()] == [
        sums(figures.nights[0].days) for figures in before
    ]
    rubbish = Fault("status", endpoint="/sends/data_series", status=200, body='{"message":"success","data":"none"}')
    reading.sandbox.set_faults([rubbish])
    assert all("unexpected content" in problem for problem in reading.figures.read().problems)
    assert len(reading.figures.read().problems) == 2


def test_a_rehearsal_whose_sandbox_began_later_says_so_and_counts_nothing(reading: Reading) -> None:
    frozen = reading.send(Large=60)
    reading.sandbox.world.send_ids.pop((reading.sandbox.world.group("Shop").id, str(kept(reading, frozen[0]))))
    reading.go_to(NOW + timedelta(days=3))
    rehearsed = [RehearsedGroup(**asdict(group), named="https://a.test") for group in reading.settings.app_groups]
    context = Context(
        reading.desk.root,
        replace(reading.settings, app_groups=tuple(rehearsed)),
        now=reading.desk.clock,
        user="ann",
    )
    read = ReachFigures(context, reading.desk.store).read()
    assert (read.series, read.problems, read.exit_code) == (0, (), 0), "nor that its template counted nothing"
    assert read.notes == ("the sandbox has no figures of 'Large', night of 2026-11-23: it began later",)
    assert read.notes[0] in text(read) and "Large" in html(read)


@pytest.mark.parametrize("missing", ["key", "sandbox"])
def test_where_no_sandbox_answers_one_calm_sentence_names_the_remedy(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    reading.send(Large=60, Small=10)
    reading.go_to(NOW + timedelta(days=3))
    settings = reading.settings
    if missing == "key":
        monkeypatch.delenv(KEY_NAME)
    else:
        settings = replace(settings, app_groups=(replace(settings.app_groups[0], api="http://127.0.0.1:1"),))
    context = Context(reading.desk.root, settings, now=reading.desk.clock, user="ann")
    figures = ReachFigures(context, reading.desk.store, client=lambda group: AppboyClient(group, sleep=lambda _: None))
    (problem,) = figures.read().problems
    assert (
        problem.startswith("there are no figures of Shop, since no sandbox")
        and "`optinb figures read --rehearse`" in problem
    )
    assert text(figures.read()) == f"! {problem}"


def test_a_real_appboy_without_a_key_is_told_once_for_its_app_group(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading.send(Large=60, Small=10)
    reading.go_to(NOW + timedelta(days=3))
    monkeypatch.delenv(KEY_NAME)
    real = replace(reading.settings.app_groups[0], api="https://rest.iad-01.braze.com")
    context = Context(
        reading.desk.root, replace(reading.settings, app_groups=(real,)), now=reading.desk.clock, user="ann"
    )
    read = ReachFigures(context, reading.desk.store).read()
    (problem,) = read.problems
    assert problem.startswith("the figures of 'Shop' couldn't be read: the key") and KEY_NAME in problem
    assert read.exit_code == 1


def test_a_refusal_of_one_is_no_refusal_of_all(reading: Reading) -> None:
    frozen = reading.send(Large=60, Small=10)
    reading.sandbox.world.send_ids.pop((reading.sandbox.world.group("Shop").id, str(kept(reading, frozen[0]))))
    reading.go_to(NOW + timedelta(days=3))
    read = reading.figures.read()
    assert read.series == 2 and "'Large', night of 2026-11-23" in read.problems[0]


def kept(reading: Reading, frozen: FrozenAudience) -> str | None:
    there = reading.desk.store.deliveries.find(*frozen.night)
    return there.send_id if there else None


def test_what_is_still_to_go_out_has_no_figures_and_no_gaps(reading: Reading) -> None:
    reading.send(Large=60)
    assert reading.figures.read().series == 0
    assert reading.figures.of("Large").nights == ()
    assert "nothing of it has gone out yet" in text(reading.figures.of("Large"))
    with pytest.raises(CampaignError):
        reading.figures.of("Nobody's")


def test_an_app_group_that_left_the_settings_is_told(reading: Reading, desk: Desk) -> None:
    reading.send(Large=60)
    with desk.store._database.writing() as con:
        con.exec_driver_sql("update audiences set app_group_id = 'gone'")
    reading.go_to(NOW + timedelta(days=3))
    (problem,) = reading.figures.read().problems
    assert "gone" in problem
