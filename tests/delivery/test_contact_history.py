"""The one contact history: what became of everybody, by the journal, from files whose seal is whole."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import polars as pl
import pytest
from delivery_desk import NIGHT, NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from optinb.base.erasing import ForgottenPerson
from optinb.campaigns import AUDIENCE_SCHEMA, Campaign, Schedule
from optinb.delivery import (
    COUNTING,
    HISTORY,
    MEANING,
    RECEIVED,
    ContactHistory,
    Status,
    counting,
    plan,
    sending_day,
    status_of,
)
from optinb.delivery.anonymous import anonymise, orphans
from optinb.delivery.confirmation import VERDICTS
from optinb.delivery.contact_status import status_of_night
from optinb.delivery.journal import (
    Accepted,
    Batch,
    BatchState,
    Cancelled,
    Confirmation,
    ConfirmedCounts,
    Expired,
    FrozenAudience,
    Planned,
    Refused,
    Sending,
    Settlement,
    Store,
    Unknown,
    Verdict,
)
from optinb.delivery.traces import erase_files
from optinb.delivery.verdict_files import write_verdicts
from optinb.engine.persons import Identity, Persons
from optinb.errors import ConflictError, StateError
from optinb.store import database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

SIZE = 2
STATES: dict[str, BatchState] = {
    "planned": Planned(),
    "sending": Sending(holder="box"),
    "accepted": Accepted(dispatch_id="d1", schedule_id="s1"),
    "refused": Refused(status=400, message="no"),
    "unknown": Unknown(message="?"),
    "expired": Expired(message="late"),
    "cancelled": Cancelled(message="stopped"),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "state.sqlite"))


def summer() -> Campaign:
    schedule = Schedule(at="18:30", every="day")
    return Campaign(name="Summer", app_group="Shop", template="T", group="G", schedule=schedule)


def frozen(
    store: Store,
    root: Path,
    states: Sequence[BatchState],
    *,
    settled: dict[int, Settlement] | None = None,
    night: date = NIGHT,
    campaign: Campaign | None = None,
) -> FrozenAudience:
    """A night with two recipients for each state, two controls before them and somebody excluded after."""
    rows = [(f"c{n}", f"ec{n}", "control", None, "{}") for n in range(2)]
    rows += [(f"r{n}", f"er{n}", "recipient", None, '{"n":1}') for n in range(SIZE * len(states))]
    last = ("x", "ex", "excluded", "blocked", None)
    audience = plan(
        store,
        pl.DataFrame([*rows, last], schema=AUDIENCE_SCHEMA, orient="row"),
        campaign=campaign or summer(),
        run_date=night,
        app_group_id="shop",
        template_id="t",
        send_at=NOW + timedelta(hours=15),
        fingerprint="f" * 64,
        root=root,
        user="cron",
        now=NOW,
        batch_size=SIZE,
    )
    lease = store.leases.take("send", holder="box", now=NOW)
    before = store.deliveries.batches(*audience.night)
    changed: list[Batch] = [replace(batch, state=state) for batch, state in zip(before, states, strict=True)]
    store.deliveries.revise(changed, given="planned", lease=lease, now=NOW)
    store.leases.release(lease)
    for number, settlement in (settled or {}).items():
        store.deliveries.settle(changed[number], settlement)
    return audience


def said(**told: tuple[str, ...]) -> Settlement:
    return Settlement(**{"received": (), "missing": (), "untold": (), **told}, asked_at=NOW, asked_by="ann")


def by_customer(rows: pl.DataFrame, column: str = "status") -> dict[str, str]:
    return dict(rows.select("customer_id", column).iter_rows())


def test_every_status_says_once_whether_it_counts_and_whether_it_was_received() -> None:
    assert set(MEANING) == set(get_args(Status))
    told = {status: (meaning.counts, meaning.received, meaning.in_doubt) for status, meaning in MEANING.items()}
    assert told == {
        "planned": (True, False, False),
        "accepted": (True, True, False),
        "confirmed": (True, True, False),
        "filtered": (True, False, False),
        "missing": (False, False, False),
        "unconfirmed": (True, True, False),
        "untold": (True, False, True),
        "unknown": (True, False, True),
        "refused": (False, False, False),
        "expired": (False, False, False),
        "cancelled": (False, False, False),
    }
    assert set(RECEIVED) <= set(COUNTING), "what arrived counts for the policy"
    assert len({meaning.said for meaning in MEANING.values()}) == len(MEANING)


def test_every_state_of_a_batch_and_every_verdict_has_its_status() -> None:
    plain: dict[str, Status] = {name: name for name in STATES} | {"sending": "planned"}  # pyright: ignore[reportAssignmentType]
    asked: dict[Verdict, Status] = {"received": "confirmed", "missing": "missing", "untold": "untold"}
    assert {name: status_of(state) for name, state in STATES.items()} == plain
    for name, state in STATES.items():
        for verdict, status in asked.items():
            assert status_of(state, verdict) == (status if name == "unknown" else plain[name])


def test_the_control_group_has_the_status_of_whoever_came_furthest() -> None:
    assert status_of_night([]) == "planned"
    assert status_of_night(["refused", "accepted", "unknown"]) == "accepted"
    assert status_of_night(["refused", "cancelled"]) == "refused"
    order = list(MEANING)
    assert all(status_of_night(pair) == pair[1] for pair in pairwise(order))


def test_everybody_of_a_night_has_a_row_with_what_became_of_them(store: Store, tmp_path: Path) -> None:
    settlement = said(received=("er8",), missing=("er9",))
    audience = frozen(store, tmp_path, list(STATES.values()), settled={4: settlement})
    rows = ContactHistory(tmp_path, store).rows(audience, HISTORY.names())
    assert rows.schema == HISTORY and rows.height == audience.waterfall.target
    expected = dict(zip(("r0", "r2", "r4", "r6", "r10", "r12"), ("planned", "planned", "accepted", "refused", "expired",
                                                                  "cancelled"), strict=True))  # fmt: skip
    statuses = by_customer(rows)
    assert {i: statuses[i] for i in expected} == expected
    assert (statuses["r8"], statuses["r9"]) == ("confirmed", "missing")
    assert {statuses[i] for i in ("c0", "c1")} == {"confirmed"}, "the night came as far as its furthest recipient"
    assert by_customer(rows, "role") == {
        i: "control" if i[0] == "c" else "excluded" if i == "x" else "recipient" for i in statuses
    }
    sent = rows.filter(pl.col("dispatch_id").is_not_null())
    assert sent["customer_id"].to_list() == ["r4", "r5"] and set(sent["dispatch_id"]) == {"d1"}
    assert rows.filter(pl.col("role") == "recipient")["place"].to_list() == list(range(14))
    assert set(rows["day"]) == {NIGHT} and rows["send_at"][0] == audience.send_at
    for place in (0, 5, 13):
        batch = store.deliveries.batch_of(*audience.night, place)
        assert batch is not None and batch.first <= place < batch.first + batch.size


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=6),
    st.dictionaries(st.integers(0, 11), st.sampled_from(get_args(Verdict)), max_size=8),
)
def test_the_history_and_the_figures_of_the_journal_never_disagree(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], verdicts: dict[int, Verdict]
) -> None:
    root = tmp_path_factory.mktemp("ws")
    store = Store.open(str(root / "state.sqlite"))
    settled = {
        number: said(**{v: tuple(f"er{n}" for n in (2 * number, 2 * number + 1) if verdicts.get(n) == v)
                        for v in get_args(Verdict)})
        for number, name in enumerate(names) if name == "unknown"
    }  # fmt: skip
    audience = frozen(store, root, [STATES[name] for name in names], settled=settled)
    counts = store.deliveries.counts(*audience.night)
    history = ContactHistory(root, store)
    rows = history.rows(audience)
    statuses = rows.filter(pl.col("role") == "recipient")["status"].cast(pl.String).to_list()
    assert statuses.count("accepted") == counts.accepted
    assert statuses.count("planned") == counts.pending
    assert statuses.count("confirmed") == counts.received and statuses.count("missing") == counts.missing
    in_doubt = [status for status in statuses if MEANING[status].in_doubt]
    assert len(in_doubt) + counts.received + counts.missing == counts.unknown
    for status in ("refused", "expired", "cancelled"):
        assert statuses.count(status) == getattr(counts, status)
    contacts = history.table()
    assert contacts.filter(pl.col("outcome") == "received").height == counts.accepted + counts.received
    assert contacts.filter(pl.col("outcome") == "in_control").height == (2 if counts.accepted + counts.received else 0)
    left = counts.recipients - counts.refused - counts.expired - counts.cancelled - counts.missing
    assert counting(rows, "recipient").height == left
    assert counting(rows, "control").height == (2 if left else 0)
    store.close()


def test_what_becomes_known_later_is_told_the_next_time(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["unknown"]])
    history = ContactHistory(tmp_path, store)
    assert history.table().is_empty()
    assert by_customer(history.rows(audience))["r0"] == "unknown"
    (batch,) = store.deliveries.batches(*audience.night)
    store.deliveries.settle(batch, said(received=("er0",), untold=("er1",)))
    assert by_customer(history.rows(audience))["r1"] == "untold"
    assert by_customer(history.table(), "outcome") == {"r0": "received", "c0": "in_control", "c1": "in_control"}


def test_a_file_that_was_changed_or_is_gone_is_never_read(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    history, path = ContactHistory(tmp_path, store), tmp_path / audience.path
    assert history.rows(audience).height == 5
    whole = path.read_bytes()
    rows = pl.read_parquet(path)
    rows.with_columns(outcome=pl.lit("excluded")).write_parquet(path)
    with pytest.raises(StateError, match=r"was changed since it was sealed.*whom 'Summer' reached on 2026-11-23"):
        history.rows(audience)
    path.write_bytes(whole)
    assert history.rows(audience).height == 5
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StateError, match="was changed since it was sealed"):
        history.table()
    path.unlink()
    with pytest.raises(StateError, match=r"can't be read.*restore it from a copy"):
        history.rows(audience)


def several(store: Store, root: Path, nights: int) -> list[FrozenAudience]:
    """Nights of a campaign, and one of another: of each Appboy accepted a request, and another came too late."""
    states, campaign = [STATES["accepted"], STATES["expired"]], summer()
    mine = [frozen(store, root, states, night=NIGHT + timedelta(days=n), campaign=campaign) for n in range(nights)]
    return [*mine, frozen(store, root, states)]


def test_several_nights_are_told_one_after_the_other_as_each_is(store: Store, tmp_path: Path) -> None:
    audiences, history = several(store, tmp_path, 3), ContactHistory(tmp_path, store)
    said_of(store, tmp_path, audiences[1], {0: "confirmed", 1: "filtered"}, recipients=2)
    each = [history.rows(audience, HISTORY.names()) for audience in audiences]
    assert history.rows_of(audiences[:3], HISTORY.names()).equals(pl.concat(each[:3]))
    together = history.rows_of(audiences, HISTORY.names())
    assert together.equals(pl.concat(each)) and together["night"].n_unique() == 3
    assert {"confirmed", "filtered", "accepted", "expired"} == set(together.filter(pl.col("place") >= 0)["status"])
    tested = history.rows_of(audiences, HISTORY.names(), but_excluded=True)
    assert tested.equals(together.filter(pl.col("role") != "excluded")) and tested.height < together.height
    assert history.rows_of([], HISTORY.names()).schema == HISTORY


def test_many_nights_ask_the_journal_no_more_often_than_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, asked = [STATES["accepted"]], list[object]()
    audiences = [frozen(store, tmp_path, of, night=NIGHT + timedelta(days=n)) for n in range(5)]
    reading = database._reading
    monkeypatch.setattr(database, "_reading", lambda engine: asked.append(engine) or reading(engine))

    def times(some: list[FrozenAudience], columns: Sequence[str]) -> int:
        asked.clear()
        ContactHistory(tmp_path, store).rows_of(some, columns)
        return len(asked)

    assert times(audiences, ("customer_id", "status")) == times(audiences[:1], ("customer_id", "status")) <= 3
    assert times(audiences, ("customer_id", "role")) == 0, "whoever asks for no status asks nothing of it"


def test_of_several_nights_the_one_that_was_changed_is_named(store: Store, tmp_path: Path) -> None:
    audiences, history = several(store, tmp_path, 3), ContactHistory(tmp_path, store)
    path = tmp_path / audiences[1].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StateError, match=rf"{path.name} was changed.*reached on {audiences[1].run_date}"):
        history.rows_of(audiences, ("customer_id",))
    path.unlink()
    with pytest.raises(StateError, match=rf"{path.name} can't be read"):
        history.rows_of(audiences)


def test_messages_on_the_customers_own_clocks_are_of_the_next_day(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    assert sending_day(audience) == NIGHT
    for clock in ("local", "optimal"):
        assert sending_day(replace(audience, clock=clock)) == NIGHT + timedelta(days=1)


def said_of(store: Store, root: Path, audience: FrozenAudience, verdicts: dict[int, str], *, recipients: int) -> None:
    """Registers what Appboy said of recipients, by place."""
    rows = [(place, status, "segment" if status == "filtered" else None, None, None, None)
            for place, status in verdicts.items()]  # fmt: skip
    file = write_verdicts(pl.DataFrame(rows, schema=VERDICTS, orient="row"), audience, root=root)
    there = store.confirmations.newest(*audience.night)
    words = list(verdicts.values())
    counts = ConfirmedCounts(
        recipients=recipients,
        asked=len(words),
        planned=recipients,
        confirmed=words.count("confirmed"),
        filtered={"segment": words.count("filtered")},
        unconfirmed=words.count("unconfirmed"),
    )
    store.confirmations.add(
        Confirmation(
            campaign_id=audience.campaign_id,
            run_date=audience.run_date,
            version=there.version + 1 if there else 1,
            path=file.path.relative_to(root).as_posix(),
            sha256=file.sha256,
            counts=counts,
            asked_by="ann",
            asked_at=NOW,
        )
    )


def test_what_appboy_says_of_accepted_messages_counts_at_once_and_touches_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    states = [STATES[name] for name in ("accepted", "accepted", "unknown", "cancelled")]
    audience = frozen(store, tmp_path, states)
    history = ContactHistory(tmp_path, store)
    assert history.table().filter(pl.col("outcome") == "received").height == 4
    everybody = {0: "confirmed", 1: "filtered", 2: "unconfirmed", **dict.fromkeys(range(4, 8), "filtered")}
    said_of(store, tmp_path, audience, everybody, recipients=4)
    statuses = by_customer(history.rows(audience))
    assert [statuses[f"r{n}"] for n in range(8)] == [
        "confirmed", "filtered", "unconfirmed", "accepted", "unknown", "unknown", "cancelled", "cancelled",
    ]  # fmt: skip
    assert statuses["c0"] == "confirmed", "the control group goes as far as the furthest recipient"
    received = history.table().filter(pl.col("outcome") == "received")
    assert set(received["customer_id"]) == {"r0", "r2", "r3"}, "what may have arrived still counts"
    counted = set(counting(history.rows(audience), "recipient")["customer_id"])
    assert counted == {"r0", "r1", "r2", "r3", "r4", "r5"}, "nobody is written to again by Appboy's word"
    told = history.verdict_on(audience, 1)
    assert told is not None and (told.status, told.kept_by) == ("filtered", "segment")
    assert history.verdict_on(audience, 3) is None


def test_what_was_said_of_more_people_than_a_night_has_is_refused(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    said_of(store, tmp_path, audience, dict.fromkeys(range(5), "confirmed"), recipients=5)
    with pytest.raises(StateError, match="is of another one"):
        ContactHistory(tmp_path, store).rows(audience)


def test_a_campaign_that_reached_nobody_has_no_control_group_to_be_measured_against(
    store: Store, tmp_path: Path
) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]] * 2)
    history = ContactHistory(tmp_path, store)
    said_of(store, tmp_path, audience, dict.fromkeys(range(3), "filtered"), recipients=4)
    assert by_customer(history.table(), "outcome") == {"r3": "received", "c0": "in_control", "c1": "in_control"}
    said_of(store, tmp_path, audience, dict.fromkeys(range(4), "filtered"), recipients=4)
    assert history.table().is_empty() and by_customer(history.rows(audience))["c0"] == "filtered"
    assert set(counting(history.rows(audience), "control")["customer_id"]) == {"c0", "c1"}


def test_what_was_said_is_never_changed_and_two_never_say_it_at_once(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    said_of(store, tmp_path, audience, {0: "unconfirmed"}, recipients=2)
    first = store.confirmations.newest(*audience.night)
    said_of(store, tmp_path, audience, {0: "confirmed"}, recipients=2)
    newest = store.confirmations.newest(*audience.night)
    assert first and newest and (first.version, newest.version) == (1, 2)
    assert store.confirmations.list() == (newest,)
    with pytest.raises(ConflictError, match="somebody else meanwhile"):
        store.confirmations.add(replace(first, asked_by="bob"))


def test_a_newer_word_that_comes_while_somebody_reads_is_read(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    said_of(store, tmp_path, audience, {0: "unconfirmed"}, recipients=2)
    history, list_ = ContactHistory(tmp_path, store), store.confirmations.list

    def overtaken(**those: Any) -> tuple[Confirmation, ...]:
        (found,) = list_(**those)
        store.confirmations.list = list_
        (tmp_path / found.path).unlink()
        said_of(store, tmp_path, audience, {0: "confirmed"}, recipients=2)
        return (found,)

    store.confirmations.list = overtaken
    assert by_customer(history.rows(audience))["r0"] == "confirmed"


def test_whoever_is_forgotten_keeps_their_place_in_what_was_said(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]])
    said_of(store, tmp_path, audience, {0: "confirmed", 1: "filtered"}, recipients=2)
    sealed = anonymise(store, audience, ["r1"], root=tmp_path, token="0f", why="a person asked", user="ann", now=NOW)
    history = ContactHistory(tmp_path, store)
    statuses = by_customer(history.rows(sealed))
    assert (statuses["r0"], statuses["forgotten-0f"]) == ("confirmed", "filtered")
    assert not list(orphans(store, ["r0", "r1"], root=tmp_path)), "a file of verdicts names nobody"
    before = {path: path.read_bytes() for path in tmp_path.glob("audiences/*/*.verdicts")}
    assert before
    done = erase_files(tmp_path, ForgottenPerson({"r1", "PAR1"}, values=(), stand_in="x"))
    assert {path: path.read_bytes() for path in before} == before and not done.left


def people(
    persons: dict[str, str], external: dict[str, str], *, replaced: Sequence[str] = ()
) -> tuple[Persons, Identity]:
    told = pl.DataFrame(
        [(i, p, False) for i, p in persons.items()],
        schema={"customer_id": pl.String, "person_id": pl.String, "drawn": pl.Boolean},
        orient="row",
    )
    identity = Identity(persons=told, replaced=frozenset(replaced))
    customers = pl.DataFrame({"customer_id": list(external), "external_user_id": list(external.values())})
    return Persons(customers, identity), identity


def test_a_row_is_of_everybody_who_is_that_person_tonight(store: Store, tmp_path: Path) -> None:
    audience = frozen(store, tmp_path, [STATES["accepted"]] * 2)
    rows = ContactHistory(tmp_path, store).rows(audience).filter(pl.col("role") == "recipient")
    # r0 is n0 now, r1 and r2 have swapped their external ids, r3 is gone without heir, and z is new
    found, identity = people({"n0": "r0"}, {"n0": "f0", "r1": "er2", "r2": "er1", "z": "ez"})
    told = found.today(rows.with_columns(of="external_user_id"))
    assert sorted(told.select("customer_id", "of").iter_rows()) == [
        ("n0", "er0"),
        ("r1", "er1"),
        ("r1", "er2"),
        ("r2", "er1"),
        ("r2", "er2"),
    ]
    assert [identity.ids_of(customer_id) for customer_id in ("n0", "r1")] == [("n0", "r0"), ("r1",)]


def test_people_who_are_nobody_elses_are_matched_by_their_own_id_alone() -> None:
    everybody = {f"{n}": f"e{n}" for n in range(50)}
    found, _ = people({}, everybody)
    rows = pl.DataFrame({"customer_id": ["3", "7", "gone"], "external_user_id": ["e3", "e7", "gone too"]})
    assert found.today(rows)["customer_id"].to_list() == ["3", "7"]
    places, times = found.places(rows)
    assert places.tolist() == [3, 7] and times is None
    assert not found.doubles(np.arange(50, dtype=np.uint32)).any()


def test_of_a_person_who_is_there_twice_the_newer_id_is_kept() -> None:
    found, _ = people({"b": "z"}, {"a": "ea", "b": "eb", "z": "ez"}, replaced=["b"])
    assert found.doubles(np.array([0, 1, 2], np.uint32)).tolist() == [False, True, False]
    assert not found.doubles(np.array([0, 1], np.uint32)).any(), "who is alone in an audience is nobody's double"


def test_who_got_it_under_two_ids_got_it_twice() -> None:
    found, _ = people({"b": "a"}, {"b": "eb", "c": "ec"})
    rows = pl.DataFrame({"customer_id": ["a", "b", "c"], "external_user_id": ["ea", "eb", "ec"]})
    places, times = found.places(rows)
    assert (places.tolist(), [] if times is None else times.tolist()) == ([0, 1], [2, 1])
