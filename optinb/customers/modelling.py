"""A night's customer models: read from the published version, made, and published as the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from optinb.base.progress import OnProgress, progress
from optinb.customers.attributes import declared_features
from optinb.customers.card import ModelCard
from optinb.customers.model import CustomerModel, model_customers
from optinb.customers.segmentation import Segmentation
from optinb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from optinb.base.settings import Settings
    from optinb.warehouse import Snapshot, Warehouse

CARDS = "cards"
"""The published table of the model card of every night: night, card (JSON)."""

SEGMENTATIONS = "segmentations"
"""The published table of every version of the micro-segments: version, fitted_on, body (JSON)."""

NOT_MODELLED = "untold"  # as versions that are published call the table
"""The published table of what no model tells tonight: attribute, reason."""


def model_night(
    warehouse: Warehouse,
    snapshot: Snapshot,
    run_date: date | None,
    *,
    settings: Settings,
    figures: Callable[[date], Mapping[str, pl.DataFrame]],
    scored: Callable[[pl.LazyFrame, date], pl.DataFrame],
    wait_s: float = 0.0,
    on_progress: OnProgress | None = None,
) -> CustomerModel:
    """Models every customer of the published version, and publishes the result as the next.

    Args:
        warehouse: where the result is published.
        snapshot: the published version.
        run_date: the night; that of the version's delivery, when none is given.
        figures: what else is counted of a night and published with its models, by the table's name.
        scored: the published scores of customers (customer_id, and a column for each score), by what is known of them
            on a night.
        settings: of the workspace.
        wait_s: seconds to wait for another import or publication to end.
        on_progress: is told that so many more hundredths are done, and what is next.

    Raises:
        UsageError: for a night before the published delivery.
        OutdatedError: when something else was published while it worked.
    """
    run_date = run_date or snapshot.import_date
    if run_date < snapshot.import_date:
        raise UsageError(
            f"the published delivery is of {snapshot.import_date}; customers can't be modelled for the earlier "
            f"{run_date}: leave --date out"
        )
    with progress(f"models of {run_date}", on_progress=on_progress) as step:
        model = model_customers(
            snapshot.table("customers"),
            snapshot.scan("transactions"),
            snapshot.table("app_users"),
            run_date=run_date,
            settings=settings.lifecycle,
            time_zone=settings.workspace.time_zone,
            events=snapshot.scan("events"),
            declared=declared_features(settings.features, taken=snapshot.schema("customers")),
            models=settings.models,
            before=segmentation(snapshot),
            on_progress=step,
        )
        step(0, "storing")
        features, not_modelled = model.published()
        own = model.history.drop(snapshot.schema("customers").keys() - {"customer_id"}, strict=False).lazy()
        scores = scored(snapshot.table("customers").join(own, on="customer_id", how="left"), run_date)
        features = features.join(scores, on="customer_id", how="left", maintain_order="left")
        fitted = model.segmentation
        tables = {
            "features": features,
            NOT_MODELLED: not_modelled,
            **figures(run_date),
            CARDS: _with(snapshot, CARDS, night=run_date, card=_text(model.card)),
            SEGMENTATIONS: _with(
                snapshot, SEGMENTATIONS, version=fitted.version, fitted_on=fitted.fitted_on, body=_text(fitted)
            ),
        }
        step(0, "publishing")
        warehouse.publish(tables, model_date=run_date, made_from=snapshot.version, history=model.history, wait_s=wait_s)
    return model


def segmentation(snapshot: Snapshot, version: int | None = None) -> Segmentation | None:
    """The newest segmentation, or that of a version; None if there is none."""
    if not snapshot.has(SEGMENTATIONS):
        return None
    kept = dict(snapshot.table(SEGMENTATIONS).select("version", "body").collect().iter_rows())
    body = kept.get(version if version is not None else max(kept))
    return msgspec.json.decode(body, type=Segmentation) if body else None


def card(snapshot: Snapshot, night: date | None = None) -> ModelCard:
    """The model card of a night (of the published model, when none is given). Raises UsageError without one."""
    night = night or snapshot.model_date
    if night is None:
        raise UsageError("no night was modelled yet: run ws.model()")
    kept = dict(snapshot.table(CARDS).collect().iter_rows()) if snapshot.has(CARDS) else {}
    if night not in kept:
        raise UsageError(f"no model card is kept of {night}")
    return msgspec.json.decode(kept[night], type=ModelCard)


def _with(snapshot: Snapshot, table: str, **row: Any) -> pl.DataFrame:
    """A published table with one more row, which replaces the one of the same first column."""
    new = pl.DataFrame({name: [value] for name, value in row.items()})
    if not snapshot.has(table):
        return new
    key = new.columns[0]
    kept = snapshot.table(table).collect().cast(dict(new.schema))  # type: ignore[arg-type]
    return pl.concat([kept.filter(pl.col(key) != row[key]), new]).sort(key)


def _text(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
