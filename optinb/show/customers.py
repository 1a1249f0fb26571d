"""Customers and their models, as text and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optinb.show.pages import page
from optinb.show.registry import Shown
from optinb.show.tables import card_tables, table

if TYPE_CHECKING:
    import polars as pl

    from optinb.customers import CustomerCard, ModelReport


def model_report_text(value: ModelReport) -> str:
    """How many customers were modelled, their stages, and the model card."""
    parts = [
        f"{value.customers:,} customers modelled for {value.run_date}, published as version {value.warehouse_version}",
        table(value.stages.items(), head=("lifecycle stage", "customers")),
        "\n".join(value.card),
    ]
    return "\n\n".join(part for part in parts if part)


def customer_card_text(value: CustomerCard) -> str:
    """Everything about one customer."""
    if not value.is_known:
        return f"{value.customer_id} was no customer on {value.day}"
    tables = {name: found.text for name, found in card_tables(value).items()}
    parts = [
        f"customer {value.customer_id} on {value.day}: {value.stage or 'not modelled'}",
        *(tables[name] for name in ("profile", "so far", "expected")),
        "\n".join(value.about),
        "\n".join(f"no model tells {name}: {reason}" for name, reason in value.not_modelled.items()),
        *(tables[name] for name in ("stages", "months")),
        f"groups: {', '.join(value.groups) or 'none'}",
        tables["messages"],
    ]
    return "\n\n".join(part for part in parts if part)


def stages_over_time(history: pl.DataFrame) -> str:
    """The customers in each lifecycle stage by night (day, stage, customers), as lines and as a table."""
    from optinb.customers import STAGES
    from optinb.show.charts import stages as drawn

    nights: dict[Any, dict[str, int]] = {}
    for day, stage, count in history.drop_nulls().iter_rows():
        nights.setdefault(day, {})[stage] = count
    return page("stages_over_time.html.j2", nights=nights, stages=STAGES, chart=drawn(history))


def micro_segments(segments: pl.DataFrame) -> str:
    """The micro-segments (as `ws.micro_segments()` returns them) as a map of value and risk, and as a table."""
    from optinb.show.charts import micro_segments as drawn

    charts = {
        "Customers who buy: the chance that they stay away": drawn(segments, "churn_risk", "churn risk"),
        "Churned customers: the chance that they come back": drawn(
            segments, "reactivation_chance", "reactivation chance"
        ),
    }
    shown = {title: chart for title, chart in charts.items() if chart}
    return page("micro_segments.html.j2", rows=segments.to_dicts(), charts=shown)


SHOWN = (
    Shown("optinb.customers.model.CustomerModel", page="customer_model"),
    Shown("optinb.customers.card.ModelReport", model_report_text),
    Shown("optinb.customers.card.ModelCard", page="model_card"),
    Shown("optinb.customers.customer_card.CustomerCard", customer_card_text, "customer_card"),
    Shown("optinb.customers.moves.Migration", page="migration"),
)
