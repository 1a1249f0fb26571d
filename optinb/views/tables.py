"""Tables about the customers of a workspace."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from IPython.display import HTML
from msgspec import Struct

from optinb.base.figures import figure
from optinb.customers import declared_features, labels_of, meanings_of
from optinb.customers.lifecycle import STAGES
from optinb.delivery.send_watch import nights, watch
from optinb.engine.tables import kinds
from optinb.errors import OptinbError
from optinb.show import customers, html
from optinb.show.pages import page

if TYPE_CHECKING:
    import polars as pl

    from optinb.workspace import Workspace

MOST_FREQUENT = 4
NOTHING_YET = (
    "Nothing is imported yet: views.delivery(ws) imports what waits in the inbox, and so does `optinb import`."
)


class AttributeRow(Struct, frozen=True, kw_only=True):
    """One attribute: its label, kind and meaning, the share of customers for whom it is known, and typical values."""

    name: str
    label: str
    kind: str
    meaning: str
    known: float
    values: str


def attributes(ws: Workspace) -> HTML:
    """Every attribute that rules can ask about."""
    if ws.warehouse.current is None:
        return notice(NOTHING_YET)
    tables = ws.tables()
    of = kinds(tables.customer_schema)
    frame = ws.customers().select(list(of)).collect()
    labels = labels_of(of, ws.settings.labels)
    meanings = meanings_of(declared_features(ws.settings.features), tables.scores)
    rows = [
        AttributeRow(
            name=name,
            label=labels[name],
            kind=kind,
            meaning=meanings.get(name, "As delivered."),
            known=1 - frame[name].null_count() / max(frame.height, 1),
            values=typical(frame[name], kind),
        )
        for name, kind in of.items()
    ]
    return HTML(page("attributes.html.j2", rows=rows, customers=frame.height))


def typical(column: pl.Series, kind: str) -> str:
    """The range of numbers and days, the most frequent of other values, as text."""
    known = column.drop_nulls()
    if not len(known):
        return "no value yet"
    if kind in ("number", "day"):
        return f"{_short(known.min())} to {_short(known.max())}"
    counted = known.value_counts(sort=True)
    if kind == "text" and len(counted) > 0.9 * len(known) > MOST_FREQUENT:
        return f"such as {_short(known[0])}"
    names = [_short(value) for value in counted[column.name][:MOST_FREQUENT]]
    return ", ".join(names) + (", …" if len(counted) > MOST_FREQUENT else "")


def campaigns(ws: Workspace) -> HTML:
    """Every campaign and where it stands."""
    records = ws.campaigns.list()
    return HTML(html(records)) if records else notice("No campaign is planned yet.")


def stages(ws: Workspace) -> HTML:
    """The customers by lifecycle stage."""
    if ws.warehouse.current is None:
        return notice(NOTHING_YET)
    customers = ws.customers()
    if "stage" not in customers.collect_schema():
        return notice("The customers aren't modelled yet: run ws.model() or `optinb model`.")
    counts = dict(customers.select("stage").collect()["stage"].value_counts().iter_rows())
    ordered = {stage: counts[stage] for stage in STAGES if stage in counts}
    return HTML(page("stages.html.j2", stages=ordered))


def sent(ws: Workspace, *, limit: int = 30) -> HTML:
    """What was sent to whom on the newest nights, campaign by campaign, and what was held."""
    found = [watch(ws.context, ws.store, night) for night in nights(ws.store, limit=limit)]
    if not any(night.sends or night.held for night in found):
        return notice("Nothing was sent yet. What an approved campaign sends stands here after its night.")
    groups = {group.id: group.name for group in ws.settings.app_groups}
    names = {send.audience.campaign_name for night in found for send in night.sends}
    counted = {(name, one.run_date): one for name in names for one in ws.reach_figures.of(name).nights if one.days}
    return HTML(page("sent.html.j2", nights=found, groups=groups, counted=counted, zone=ws.settings.zone))


def reached(ws: Workspace) -> HTML:
    """What Appboy counted of the campaigns of the last 14 days, by night, day and platform."""
    found = ws.reach_figures.lately()
    if not found:
        return notice("Nothing was sent in the last 14 days.")
    return HTML(html(found))


def notice(text: str) -> HTML:
    """A sentence instead of a table."""
    return HTML(page("notice.html.j2", text=text))


def stages_over_time(ws: Workspace) -> HTML:
    """How many customers were in each lifecycle stage, night by night."""
    try:
        return HTML(customers.stages_over_time(ws.history("stage")))
    except OptinbError as error:
        return notice(str(error))


def micro_segments(ws: Workspace) -> HTML:
    """The micro-segments by size, value and risk."""
    try:
        return HTML(customers.micro_segments(ws.micro_segments()))
    except OptinbError as error:
        return notice(str(error))


def _short(value: object) -> str:
    """A value in few characters; of a time, the day."""
    if isinstance(value, float):
        text = figure(value)
    elif isinstance(value, datetime):
        text = str(value.date())
    else:
        text = str(value)
    return text if len(text) <= 24 else text[:23] + "…"
