"""What a night tells: what changed and whom to look at, at most seven groups, nothing twice, nothing dismissed."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import polars as pl

from optinb.customers import labels_of
from optinb.customers.modelling import card
from optinb.engine import kinds
from optinb.engine.persons import in_share
from optinb.errors import OptinbError, RuleError, UsageError
from optinb.rules import sentence, to_json
from optinb.segments.group_forecast import whence
from optinb.segments.group_moves import changed, net_moves, persons_of, states_of, states_on
from optinb.segments.news.changes import WEEK, Changed, changes_of, nights_wanted
from optinb.segments.news.item import News, NewsItem
from optinb.segments.news.memory import WORTH, ToldBefore, members_of
from optinb.segments.news.sizes import SALT, looked_at, sizes_of
from optinb.segments.news.words import change_evidence, change_headline, worth_evidence, worth_headline
from optinb.segments.news.worth import WorthCampaign, worth_campaigns
from optinb.segments.reach import against, app_uses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.segments.news.item import NewsKind
    from optinb.segments.news.kept import NewsFiles
    from optinb.segments.tables_view import TablesView

MOST, MOST_CHANGES = 7, 4  # of a night
MONTH = (21, 35)  # days between which "four weeks ago" may lie


def look(reading: TablesView, kept: NewsFiles, night: date) -> News:
    """Looks at everybody on a night, and keeps what it tells.

    Args:
        reading: the version that is read; its customers must have been modelled on that night.
        kept: where sizes and news are kept.
        night: which one; looked at again, it tells anew.
    """
    if reading.snapshot().model_date != night:
        return News(night=night, silent=(f"the customers aren't modelled as of {night}",))
    tables = reading.tables(night)
    delivered = looked_at(reading.snapshot().table("customers"))
    called = labels_of(kinds(tables.customer_schema), reading.settings.labels)
    memory = ToldBefore(kept, night, tables)
    same_model = _model(reading, night) == _model(reading, night - WEEK)
    changes = changes_of(
        _sizes(reading, kept, night, delivered),
        night,
        is_flag=lambda name: kinds(tables.customer_schema)[name] == "yes/no",
        with_value=same_model,
    )
    silent = [changes.silent] if changes.silent else []
    items: list[NewsItem] = []
    for one in changes.found:
        ids = members_of(one.rule, tables)
        if len(items) < MOST_CHANGES and memory.is_new(one.kind, ids, of=one.about):
            item = _changed_item(reading, one, ids, sentence(one.rule, called), night)
            items.append(item)
            memory.note(item, ids)
    try:
        for worth in _worth(reading, tables, night, delivered, called):
            ids = members_of(worth.rule, tables)
            if len(items) < MOST and memory.is_new(WORTH, ids):
                item = _worth_item(worth, len(ids), sentence(worth.condition, called), sentence(worth.rule, called))
                items.append(item)
                memory.note(item, ids)
    except OptinbError as error:
        silent.append(f"who is worth a campaign can't be told: {error}")
    news = News(night=night, items=tuple(items), looked_at=changes.looked_at, silent=tuple(silent))
    kept.keep(news)
    return news


def _model(reading: TablesView, night: date) -> str | None:
    """The name of the model that tells the future value on a night; empty where no card is kept of it."""
    try:
        return card(reading.snapshot(), night).value.name
    except UsageError:
        return ""


def _sizes(reading: TablesView, kept: NewsFiles, night: date, attributes: Iterable[str]) -> dict[date, pl.DataFrame]:
    """The sizes of all nights that are asked for and were modelled; those that aren't kept are counted and kept."""
    modelled, found = set(reading.nights()), {}
    for day in nights_wanted(night):
        if day not in modelled:
            continue
        sizes = None if day == night else kept.sizes(day)
        if sizes is None:
            customers = reading.customers_on(day)
            known = customers.collect_schema()
            names = [name for name in attributes if name in known]
            worth = pl.col("future_value") if "future_value" in known else pl.lit(None, pl.Float64)
            rows = customers.select("customer_id", "stage", *names, future_value=worth).drop_nulls("stage").collect()
            sizes = sizes_of(rows, names)
            kept.keep_sizes(day, sizes)
        found[day] = sizes
    return found


def _changed_item(reading: TablesView, one: Changed, ids: pl.Series, who: str, night: date) -> NewsItem:
    low, high = one.expected
    came = "" if one.is_of_value else _whence(reading, one, ids, night)
    return NewsItem(
        key=key_of(one.kind, one.rule),
        kind=one.kind,
        rule_json=to_json(one.rule),
        who=who,
        headline=change_headline(one, who, customers=len(ids), whence=came),
        evidence=change_evidence(one),
        customers=len(ids),
        change=one.by,
        low=low,
        high=high,
    )


def _whence(reading: TablesView, one: Changed, ids: pl.Series, night: date) -> str:
    """Where most of those came from who are in a group since a week ago, or went to."""
    week_ago, snapshot = night - WEEK, reading.snapshot()
    rows = changed(
        members_of(one.rule, reading.tables_on(week_ago, one.rule)).to_frame(),
        ids.to_frame(),
        persons=persons_of(snapshot),
        states_before=states_on(snapshot, week_ago),
        states_now=states_of(snapshot.table("features")),
    )
    return whence(net_moves(rows), is_more=one.by > 0)


def _worth(
    reading: TablesView, tables: Tables, night: date, attributes: Iterable[str], called: dict[str, str]
) -> tuple[WorthCampaign, ...]:
    known = kinds(tables.customer_schema)
    missing = [name for name in ("churn_risk", "value_segment") if name not in known]
    if missing:
        why = tables.not_modelled.get(missing[0], "it isn't modelled")
        raise RuleError(f"no model tells {called.get(missing[0], missing[0])}: {why}")
    before = [day for day in reading.nights() if MONTH[0] <= (night - day).days <= MONTH[1]]
    if not before:
        raise RuleError(f"the customers of four weeks before ({night - timedelta(days=28):%d %B %Y}) weren't modelled")
    day = min(before, key=lambda day: (abs((night - day).days - 28), day))
    history = reading.snapshot().history(since=day, until=day)
    if "churn_risk" not in history.collect_schema():
        raise RuleError(f"no model told churn risks on {day:%d %B %Y}")
    people = (
        tables.customers.to_native()
        .select("customer_id", "is_blocked", "is_test", "push_opt_in", "external_user_id")
        .collect()
    )
    places = people.lazy().select("customer_id").with_row_index("place")
    apps = [app for group in reading.settings.app_groups for app in group.apps]
    uses = app_uses(places, reading.snapshot().table("app_users"), apps, size=people.height)
    ids = people["customer_id"]
    return worth_campaigns(
        tables,
        risk_before=history.select("customer_id", "churn_risk").collect(),
        reachable=ids.filter(pl.Series(against(people, uses) == 0)),
        first_half=ids.filter(in_share(ids, salt=SALT, share=0.5)),
        attributes=attributes,
        labels=called,
    )


def _worth_item(worth: WorthCampaign, customers: int, who: str, whole: str) -> NewsItem:
    return NewsItem(
        key=key_of(WORTH, worth.rule),
        kind=WORTH,
        rule_json=to_json(worth.rule),
        who=whole,
        headline=worth_headline(worth, who, customers=customers),
        evidence=worth_evidence(worth),
        customers=customers,
        change=worth.rate - worth.rate_outside,
        low=worth.low,
        high=worth.high,
    )


def key_of(kind: NewsKind, rule: Rule) -> str:
    """What a group and what became of it are called."""
    return sha256(f"{kind} {to_json(rule)}".encode()).hexdigest()[:8]
