"""Random customers with what they did, and the words that random rules about them may use."""

from __future__ import annotations

from datetime import date, datetime

from hypothesis import strategies as st
from rule_oracle import APPS, CAMPAIGNS, EVENT_NAMES, World
from rule_strategies import Vocabulary, named

from optinb.rules import Between, Day, DaysAgo, InList, Last

LISTS = ("0" * 64, "0123456789abcdef" * 4)
halves = st.integers(-4, 8).map(lambda n: n / 2)
# floats have no tenths, so that sums of them depend on the order of adding
tenths = st.integers(-4, 8).map(lambda n: n / 10)
moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 4, 2))  # noqa: DTZ001
near = st.one_of(st.dates(date(2026, 3, 20), date(2026, 4, 2)), st.sampled_from([date(2024, 2, 29), date(2020, 4, 1)]))
texts = st.sampled_from(["DE", "AT", "", "d", "a.de", "ab", "foo-1", "é"])
ids = st.integers(0, 5).map(lambda i: f"{i:03}")


def rows(**columns: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries(columns)


customers = st.lists(
    rows(
        country=st.none() | texts,
        email=st.none() | texts,
        age=st.none() | st.integers(0, 5),
        score=st.none() | halves,
        vip=st.sampled_from([True, False, None]),
        born=st.none() | near,
        registered_at=st.none() | moments | st.datetimes(datetime(2019, 3, 20), datetime(2025, 4, 4)),  # noqa: DTZ001
    ),
    max_size=6,
).map(lambda found: [{"customer_id": f"{i:03}", **row} for i, row in enumerate(found)])
worlds = st.builds(
    World,
    customers=customers,
    transactions=st.lists(
        rows(customer_id=ids, occurred_at=moments, amount=tenths, quantity=st.none() | tenths,
             category=st.none() | texts), max_size=12,
    ),
    events=st.lists(
        rows(customer_id=ids, occurred_at=moments, name=st.sampled_from(["open", "view"]), value=st.none() | tenths),
        max_size=8,
    ),
    app_users=st.lists(
        rows(customer_id=ids, app_id=st.sampled_from([*APPS, "gone"]), push_enabled=st.booleans(),
             app_version=st.sampled_from(["3.9", "3.10.0", "3.2.1-beta", "", "x", None]),
             last_used_at=st.none() | moments),
        max_size=6,
    ),
    contacts=st.lists(
        rows(customer_id=ids, campaign=st.sampled_from(CAMPAIGNS), day=st.dates(date(2026, 3, 1), date(2026, 4, 2)),
             outcome=st.sampled_from(["received", "in_control", "opened", "not_opened"])),
        max_size=8,
    ),
    lists=st.fixed_dictionaries({sha256: st.lists(ids, max_size=3, unique=True).map(tuple) for sha256 in LISTS}),
)  # fmt: skip
WORDS = Vocabulary(
    attributes=named({"country": "text", "email": "text", "age": "number", "score": "number", "vip": "yes/no",
                      "born": "day", "registered_at": "day"}),
    purchases=named({"amount": "number", "quantity": "number", "category": "text", "day": "day", "occurred_at": "day"}),
    events=named({"value": "number", "day": "day", "occurred_at": "day"}),
    event_names=st.sampled_from(EVENT_NAMES),
    values={
        "text": texts,
        "number": st.integers(0, 5) | halves,
        "yes/no": st.booleans(),
        "day": st.builds(Day, near) | st.builds(DaysAgo, st.integers(-2, 30)),
    },
    texts=st.sampled_from(["D", "E", ".", "a", "é"]),
    apps=st.sampled_from([(None, None), ("shop-ios", None), ("club-ios", None), (None, "ios"), (None, "android")]),
    versions=st.sampled_from(["3.9", "3.10", "3.2.1", "0"]),
    campaigns=st.sampled_from(CAMPAIGNS),
    lists=st.sampled_from(LISTS).map(lambda sha256: InList("vip", sha256)),
    windows=st.one_of(
        st.none(),
        st.sampled_from([0, 1, 2, 7, 30]).map(Last),
        st.tuples(*[st.dates(date(2026, 3, 1), date(2026, 4, 3))] * 2).map(lambda d: Between(min(d), max(d))),
    ),
    amounts=tenths,
)  # fmt: skip
