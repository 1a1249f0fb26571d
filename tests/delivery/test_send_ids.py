"""One send_id for each campaign and night: made and noted before the first request, borne by all, or by none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from delivery_desk import KEY_NAME, NIGHT, NOW, Desk, Scripted
from msgspec.structs import replace

from optinb.appboy import AppboyClient, CallError, RequestLater, RequestRefused, RequestUnknown, Stopped
from optinb.base.settings import AppGroupSettings
from optinb.delivery import SendIds
from optinb.delivery.journal import Account
from optinb.delivery.send_ids import A_DAY, is_refused_for_send_id, largest, send_id_of
from optinb.errors import AppboyError, StateError
from optinb.sandbox import Key, Limits, Sandbox, World

if TYPE_CHECKING:
    from optinb.delivery import DeliveryCounts, FrozenAudience

UNHEARD = RequestRefused(400, "400 Bad Request: Invalid send_id: create it with /sends/id/create first")


class Maker(Scripted):
    """A scripted poster that makes send_ids, too; `makes` are what it answers, `known` the ids that it then has."""

    def __init__(self, *outcomes: Any, makes: tuple[Any, ...] = (), known: set[str] | None = None) -> None:
        super().__init__(*outcomes)
        self.made: list[str] = []
        self.known: set[str] = set() if known is None else known
        self._makes = list(makes)

    def create_send_id(self, campaign_id: str, send_id: str | None = None) -> str:
        assert send_id is not None
        assert not self.requests
        self.made.append(send_id)
        answer = self._makes.pop(0) if self._makes else send_id
        if isinstance(answer, Exception):
            raise answer
        self.known.add(answer)
        return answer

    def send_series(self, campaign_id: str, send_id: str, *, days: int = 14) -> object:
        if send_id not in self.known:
            raise AppboyError("unheard")
        return ()

    @property
    def borne(self) -> list[str | None]:
        return [request.send_id for request in self.requests]


def went(outcome: Any) -> CallError:
    return CallError("no id today", outcome)


def send(desk: Desk, poster: Any, frozen: FrozenAudience, ids: SendIds | None = None) -> tuple[DeliveryCounts, SendIds]:
    ids = ids or SendIds(desk.store, [frozen], clock=desk.clock)
    return desk.send(poster, frozen, identify=lambda there, lease: ids.identify(poster, there, lease)), ids


def kept(desk: Desk, frozen: FrozenAudience) -> tuple[str | None, str | None]:
    """The send_id in the database, and in the file of answers beside the audience."""
    there = desk.store.deliveries.find(*frozen.night)
    account = desk.store.recovery.account(*frozen.night)
    assert there is not None and isinstance(account, Account) and account.audience is not None
    return there.send_id, account.audience.send_id


def test_every_request_of_a_night_bears_the_id_that_was_noted_before_the_first(desk: Desk) -> None:
    frozen = desk.plan(400)
    noted: list[tuple[str | None, str | None]] = []

    def look(request: Any) -> Any:
        noted.append(kept(desk, frozen))
        return RequestLater(0.0, "busy")

    poster = Maker(look)
    counts, ids = send(desk, poster, frozen)
    assert (counts.accepted, ids.notes) == (400, ())
    assert noted == [(send_id_of(frozen), send_id_of(frozen))]
    assert set(poster.borne) == {send_id_of(frozen)} and poster.made == [send_id_of(frozen)]


def test_an_id_belongs_to_one_plan_of_one_workspace_and_fits() -> None:
    def audience(**of: Any) -> FrozenAudience:
        from optinb.campaigns import Waterfall
        from optinb.delivery import FrozenAudience

        given: dict[str, Any] = {
            "campaign_id": "c" * 12, "campaign_name": "C", "run_date": NIGHT, "app_group_id": "shop",
            "template_id": "t", "path": "p", "sha256": "0" * 64, "send_at": NOW, "recipients": 1, "batches": 1,
            "waterfall": Waterfall(target=1, excluded={}, control=0, recipients=1), "fingerprint": "f",
            "planned_at": NOW,
        }  # fmt: skip
        return FrozenAudience(**{**given, **of})

    one = audience()
    assert send_id_of(one) == send_id_of(replace(one, send_at=NOW + timedelta(hours=1), sha256="1" * 64))
    others = [
        audience(planned_at=NOW + timedelta(microseconds=1)),
        audience(template_id="u"),
        audience(run_date=NIGHT + timedelta(days=1)),
        audience(campaign_id="d" * 12),
    ]
    assert len({send_id_of(one), *map(send_id_of, others)}) == 5
    assert len(send_id_of(one)) <= 64 and send_id_of(one).isascii()


@pytest.mark.parametrize(
    "outcome",
    [
        RequestRefused(400, "no"),
        RequestUnknown("no complete answer came"),
        RequestLater(3600.0, "limit", "rate_limit"),
        RequestLater(0.0, "down"),
        Stopped(403, "denied", "check the key"),
        Stopped(None, "no route", "check"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_call_that_fails_holds_no_send_and_is_told(desk: Desk, outcome: Any) -> None:
    frozen = desk.plan(120)
    poster = Maker(makes=(went(outcome),))
    counts, ids = send(desk, poster, frozen)
    assert counts.accepted == 120
    assert set(poster.borne) == {None}
    assert kept(desk, frozen) == (None, None)
    (note,) = ids.notes
    assert note.startswith("'Summer' went without a send_id, because no id today; their figures can't be told")


def test_an_answer_with_another_id_is_not_borne(desk: Desk) -> None:
    poster = Maker(makes=("somebody's",))
    _, ids = send(desk, poster, desk.plan(60))
    assert set(poster.borne) == {None}
    assert 'Appboy made "somebody\'s"' in ids.notes[0]


@pytest.mark.parametrize(
    "outcome",
    [
        RequestRefused(400, "taken, in whatever words"),
        RequestUnknown("504"),
        RequestLater(9_000.0, "the hundred of today are made, and this is one of them", "rate_limit"),
    ],
)
def test_an_id_that_was_made_although_it_was_not_said_is_the_nights_own(desk: Desk, outcome: Any) -> None:
    frozen = desk.plan(60)
    poster = Maker(makes=(went(outcome),), known={send_id_of(frozen)})
    _, ids = send(desk, poster, frozen)
    assert (set(poster.borne), ids.notes) == ({send_id_of(frozen)}, ())


def test_what_was_decided_before_the_first_request_is_never_changed_after(desk: Desk) -> None:
    without = desk.plan(200)
    stopped = Stopped(401, "wrong key", "check it")
    desk.send(Scripted(lambda _: RequestUnknown("504"), stopped), without)
    poster = Maker()
    counts, ids = send(desk, poster, without)
    assert counts.accepted + counts.unknown == 200
    assert (poster.made, set(poster.borne), ids.notes) == ([], {None}, ())

    bearing = desk.plan(200, name="Winter")
    send(desk, Maker(lambda _: RequestUnknown("504"), stopped), bearing)
    poster = Maker()
    send(desk, poster, bearing)
    assert (poster.made, set(poster.borne)) == ([], {send_id_of(bearing)})


def test_a_run_that_asked_in_vain_asks_again_while_nothing_was_sent(desk: Desk) -> None:
    frozen = desk.plan(60)
    stopped = Stopped(401, "wrong key", "check it")
    send(desk, Maker(stopped, makes=(went(stopped),)), frozen)
    poster = Maker()
    send(desk, poster, frozen)
    assert set(poster.borne) == {send_id_of(frozen)}


def test_requests_that_are_refused_for_their_id_go_out_without_and_the_night_has_none(desk: Desk) -> None:
    frozen = desk.plan(400)
    poster = Maker(*[lambda request: UNHEARD if request.send_id else _accepted(request)] * 20)
    counts, ids = send(desk, poster, frozen)
    assert (counts.accepted, counts.refused) == (400, 0), counts
    assert kept(desk, frozen) == (None, None)
    ids.look_again(frozen)
    assert "refused requests that bore it" in ids.notes[0]
    assert len(poster.users) - len(set(poster.users)) == 50  # the first batch alone was posted again


def _accepted(request: Any) -> Any:
    from optinb.appboy import RequestAccepted

    return RequestAccepted("d", request.recipients[0].external_user_id)


def test_other_refusals_leave_the_id_alone(desk: Desk) -> None:
    assert not is_refused_for_send_id(RequestRefused(400, "No Recipients"))
    assert not is_refused_for_send_id(Stopped(403, "Invalid send_id", ""))
    frozen = desk.plan(100)
    counts, _ = send(desk, Maker(RequestRefused(400, "No Recipients")), frozen)
    assert (counts.refused, counts.accepted) == (50, 50)
    assert kept(desk, frozen)[0] == send_id_of(frozen)


def test_a_lost_hold_makes_no_note_and_sends_nothing(desk: Desk) -> None:
    frozen = desk.plan(60)
    ids = SendIds(desk.store, [frozen], clock=desk.clock)
    with desk.store.lease("send", holder="a", clock=desk.clock) as lease:
        desk.move(3600.0)
        desk.store.leases.take("send", holder="b", now=desk.now, ttl_s=60.0)
    poster = Maker()
    with pytest.raises(StateError):
        desk.send(poster, frozen, identify=lambda there, _: ids.identify(poster, there, lease))
    assert (poster.requests, kept(desk, frozen)) == ([], (None, None))


def test_what_is_too_late_asks_for_no_id(desk: Desk) -> None:
    frozen = desk.plan(60)
    desk.now += timedelta(days=2)
    poster = Maker()
    counts, ids = send(desk, poster, frozen)
    assert (counts.expired, poster.made) == (60, [])
    ids.look_again(frozen)
    assert ids.notes == ()


def test_the_largest_campaigns_of_each_app_group_get_the_ids_of_a_day(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optinb.delivery.send_ids.A_DAY", 3)
    first = desk.plan(60, name="Earlier")
    send(desk, Maker(), first)
    tonight = [desk.plan(n, name=name) for n, name in ((10, "Small"), (30, "Large"), (20, "Middle"), (10, "Last"))]
    ids, poster = SendIds(desk.store, tonight, clock=desk.clock), Maker()
    for frozen in tonight:
        send(desk, poster, frozen, ids)
        poster.requests.clear()
    assert set(poster.made) == {send_id_of(tonight[1]), send_id_of(tonight[2])}
    (note,) = ids.notes
    assert note.startswith("'Last', 'Small' went without a send_id, because Appboy makes 3 a day for each app group")
    # the next of Appboy's days, which are UTC's
    desk.now = datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC)
    again = desk.plan(5, name="Tomorrow", send_at=desk.now + timedelta(hours=3))
    send(desk, poster, again)
    assert send_id_of(again) in poster.made


def test_an_app_group_that_gives_none_is_asked_once_and_others_all_the_same(desk: Desk) -> None:
    two = [desk.plan(10, name=name) for name in ("A", "B")]
    ids = SendIds(desk.store, two, clock=desk.clock)
    poster = Maker(makes=(went(Stopped(403, "denied", "check")),))
    for frozen in two:
        assert send(desk, poster, frozen, ids)[0].accepted == 10
        poster.requests.clear()
    assert len(poster.made) == 1
    assert ids.notes[0].startswith("'A', 'B' went without")
    refused = Maker(makes=(went(RequestRefused(400, "this template")),))
    pair = [desk.plan(10, name=name) for name in ("C", "D")]
    ids = SendIds(desk.store, pair, clock=desk.clock)
    for frozen in pair:
        send(desk, refused, frozen, ids)
        refused.requests.clear()
    assert len(refused.made) == 2
    assert [kept(desk, frozen)[0] is None for frozen in pair] == [True, False]


def test_of_like_sizes_names_decide(desk: Desk) -> None:
    two = [desk.plan(10, name=name) for name in ("B", "A")]
    assert largest(two, left=1) == {two[1].night}
    assert largest(two, left=-1) == frozenset()
    assert A_DAY == 100


def test_a_database_put_back_to_before_the_id_gets_it_again_from_the_file(desk: Desk) -> None:
    frozen = desk.plan(200)
    send(desk, Maker(lambda _: RequestUnknown("504"), Stopped(401, "wrong key", "check it")), frozen)
    with desk.store._database.writing() as con:  # as a copy of the night's plan has it
        con.exec_driver_sql("update audiences set send_id = null")
    desk.store.recovery.rebuild(*frozen.night, why="put back", user="ops", now=desk.now)
    assert kept(desk, frozen) == (send_id_of(frozen), send_id_of(frozen))
    poster = Maker()
    send(desk, poster, frozen)
    assert set(poster.borne) == {send_id_of(frozen)}


def test_two_campaigns_on_one_template_are_told_apart_by_appboy(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str
) -> None:
    shop = world.group("Shop")
    at_any_time = tuple(replace(campaign, re_eligible_after_s=0) for campaign in shop.campaigns)
    world.put(replace(shop, campaigns=at_any_time))
    two = [desk.plan(n, name=name, template_id=template_id) for n, name in ((120, "A"), (60, "B"))]
    ids = SendIds(desk.store, two, clock=desk.clock)
    before = client.rate_limit
    for frozen in two:
        assert send(desk, client, frozen, ids)[0].accepted == frozen.recipients
    assert ids.notes == () and before is None
    assert client.rate_limit is not None and client.rate_limit.limit == 250_000  # not the hundred a day
    sandbox.move_clock(to=NOW + timedelta(days=1))
    for frozen in two:
        days = client.send_series(template_id, send_id_of(frozen))
        assert sum(day.unique_recipients for day in days) == frozen.recipients
    assert sum(day.unique_recipients for day in client.campaign_series(template_id)) == 120  # people, not messages
    assert {d.send_id for d in sandbox.world.dispatches} == {send_id_of(frozen) for frozen in two}


def test_a_key_without_the_permission_and_a_day_without_ids_send_all_the_same(
    desk: Desk, world: World, sandbox: Sandbox, client: AppboyClient, template_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = world.group("Shop")
    poor = Key("poor", permissions=("campaigns.trigger.schedule.create",))
    world.put(replace(group, keys=(*group.keys, poor), limits=Limits(send_ids_a_day=0)))
    monkeypatch.setenv(KEY_NAME, "poor")
    settings = AppGroupSettings(id=group.id, name="Shop", api=sandbox.url, key=f"env:{KEY_NAME}")
    with AppboyClient(settings, timeout_s=10) as lacking:
        counts, ids = send(desk, lacking, desk.plan(60, template_id=template_id))
    assert counts.accepted == 60 and "sends.id.create" in ids.notes[0]
    monkeypatch.setenv(KEY_NAME, group.keys[0].key)
    counts, ids = send(desk, client, desk.plan(60, name="B", template_id=template_id))
    assert counts.accepted == 60 and "used up" in ids.notes[0]
    assert {d.send_id for d in sandbox.world.dispatches} == {None}
