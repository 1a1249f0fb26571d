"""Customers and their models, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.show.pages import page
from optinb.show.registry import Shown
from optinb.show.tables import cell, table

if TYPE_CHECKING:
    import polars as pl

    from optinb.customers import CustomerCard, CustomerModel, Migration, ModelCard, ModelReport


def customer_model(model: CustomerModel) -> str:
    """Lifecycle stages, the thresholds with the plot they come from, and the model card."""
    from optinb.measure.charts import chances, pauses

    chart = pauses(model.pauses, churn_days=model.thresholds.churn_days) if len(model.pauses) else ""
    return page("customer_model.html.j2", model=model, chart=chart, card=model.card, plots=chances(model.card))


def model_report_text(value: ModelReport) -> str:
    """How many customers were modelled, their stages, and the model card."""
    parts = [
        f"{value.customers:,} customers modelled for {value.run_date}, published as version {value.warehouse_version}",
        table(value.stages.items(), head=("lifecycle stage", "customers")),
        "\n".join(value.card),
    ]
    return "\n\n".join(part for part in parts if part)


def model_card(card: ModelCard) -> str:
    """A model card of any night, with its plots."""
    from optinb.measure.charts import chances

    return page("model_card.html.j2", card=card, plots=chances(card))


def customer_card_text(value: CustomerCard[Any]) -> str:
    """Everything about one customer."""
    if not value.is_known:
        return f"{value.customer_id} was no customer on {value.day}"
    months = [(f"{month.first:%Y-%m}", month.purchases, month.spend) for month in value.months[-12:]]
    messages = [(str(m.night), m.answer.campaign, m.answer.outcome, m.answer.why) for m in value.messages]
    parts = [
        f"customer {value.customer_id} on {value.day}: {value.stage or 'not modelled'}",
        *(
            table([(name, cell(item)) for name, item in figures.items()], head=(title, "value"))
            for title, figures in (("profile", value.profile), ("so far", value.features), ("expected", value.future))
        ),
        "\n".join(value.about),
        "\n".join(f"no model tells {name}: {reason}" for name, reason in value.not_modelled.items()),
        table([(s.stage, str(s.since), str(s.until)) for s in value.stages], head=("stage", "since", "until")),
        table(months, head=("month", "purchases", "spend")),
        f"groups: {', '.join(value.groups) or 'none'}",
        table(messages, head=("night", "campaign", "outcome", "the customer …")),
    ]
    return "\n\n".join(part for part in parts if part)


def customer_card(card: CustomerCard[Any]) -> str:
    """Everything about one customer."""
    from optinb.show.charts import purchases_by_month

    chart = purchases_by_month(card.months) if card.months else ""
    return page("customer_card.html.j2", card=card, chart=chart)


def migration(found: Migration) -> str:
    """Moves between two nights as a heat map: rows are where customers were, columns where they went."""
    from optinb.customers import STAGES

    values = found.values(STAGES)
    rows = []
    for before in values:
        counts = [found.customers(before, after) for after in values]
        rows.append((before, [(count, count / max(sum(counts), 1)) for count in counts], sum(counts)))
    return page("migration.html.j2", found=found, values=values, rows=rows)


def stages_over_time(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night (day, stage, customers), as lines and as a table."""
    from optinb.customers import STAGES
    from optinb.show.customer_charts import stages as drawn

    nights: dict[Any, dict[str, int]] = {}
    for day, stage, count in history.drop_nulls().iter_rows():
        nights.setdefault(day, {})[stage] = count
    return page("stages_over_time.html.j2", nights=nights, stages=STAGES, chart=drawn(history))


def micro_segments(segments: pl.DataFrame) -> str:
    """The micro-segments (as `ws.micro_segments()` returns them) as a map of value and risk, and as a table."""
    from optinb.show.customer_charts import micro_segments as drawn

    charts = {
        "Customers who buy: the chance that they stay away": drawn(segments, "churn_risk", "churn risk"),
        "Churned customers: the chance that they come back": drawn(
            segments, "reactivation_chance", "reactivation chance"
        ),
    }
    shown = {title: chart for title, chart in charts.items() if chart}
    return page("micro_segments.html.j2", rows=segments.to_dicts(), charts=shown)


SHOWN = (
    Shown("optinb.customers.model.CustomerModel", html=customer_model),
    Shown("optinb.customers.card.ModelReport", text=model_report_text),
    Shown("optinb.customers.card.ModelCard", html=model_card),
    Shown("optinb.customers.customer_card.CustomerCard", text=customer_card_text, html=customer_card),
    Shown("optinb.customers.moves.Migration", html=migration),
)
