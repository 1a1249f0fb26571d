"""The model card: what was fitted on a night, on what data, how good it is, or why nothing was fitted."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from optinb.base.figures import many
from optinb.base.figures import share as in_percent
from optinb.customers.attributes import VALUE
from optinb.customers.cells import SMALLEST
from optinb.customers.choosing import ValueReport
from optinb.customers.gate import shortcomings
from optinb.customers.lifecycle import STAGES, Thresholds
from optinb.customers.moves import StageForecast
from optinb.customers.risk import NAMES, RiskReport
from optinb.customers.segmentation import Drift

if TYPE_CHECKING:
    from optinb.customers.backtest import Backtest, Score


NOTED_TREND = 0.02
"""A trend of prices below this isn't told."""


class SegmentReport(Struct, frozen=True, kw_only=True):
    """Which segmentation labels the customers, and how it stands.

    `shares`: of all customers, of each micro-segment that has any, the smallest first. `scales`: what the bands of each
    layer mean. `drift` is that of the version before, where there was one.
    """

    version: int
    fitted_on: date
    reason: str
    drift: Drift | None
    shares: dict[str, float] = {}
    scales: tuple[str, ...] = ()


class ModelReport(Struct, frozen=True, kw_only=True):
    """What `optinb model` prints; `card` is the model's card, a sentence each."""

    run_date: date
    warehouse_version: int | None
    customers: int
    stages: dict[str, int]
    card: tuple[str, ...]


class ModelCard(Struct, frozen=True, kw_only=True):
    """Everything that a reader of the nightly report must know to trust, or distrust, the models of a night.

    `notes` are facts of the data that limit what the figures mean.
    """

    run_date: date
    value_days: int
    customers: int
    buyers: int
    repeaters: int
    transactions: int
    history_days: int
    thresholds: Thresholds
    value: ValueReport
    risks: tuple[RiskReport, ...]
    stages: StageForecast
    segments: SegmentReport
    notes: tuple[str, ...] = ()

    def not_modelled(self) -> dict[str, str]:
        """The attributes that no model tells tonight, each with the reason."""
        missing: dict[str, str] = {}
        if self.value.reason:
            missing |= {attribute.name: self.value.reason for attribute in VALUE}
        return missing | {NAMES[risk.kind]: risk.reason for risk in self.risks if risk.reason}

    def lines(self) -> list[str]:
        """The card as sentences, for a report or a notebook."""
        return [
            (
                f"Data: {self.customers:,} customers, {self.buyers:,} with a purchase, {self.repeaters:,} with more; "
                f"{self.transactions:,} transactions over {self.history_days:,} days."
            ),
            self.thresholds.explanation,
            *_value_lines(self.value, self.value_days),
            *(_risk_line(risk) for risk in self.risks),
            *_stage_lines(self.stages),
            *_segment_lines(self.segments),
            *self.notes,
        ]


def _value_lines(value: ValueReport, days: int) -> list[str]:
    if value.name:
        lines = [f"Future value looks {days} days ahead; it is told by {value.name}."]
    else:
        lines = [f"No future value is published: {value.reason}."]
        if value.instead:
            lines.append(f"{value.instead[0].upper()}{value.instead[1:]}.")
    if value.parameters and value.name and value.parameters.name in value.name:
        m, s = value.parameters.purchases, value.parameters.spend
        lines.append(
            f"{m.name}: r={m.r:.3f}, alpha={m.alpha:.2f} days, a={m.a:.3f}, b={m.b:.3f}; "
            f"Gamma-Gamma: p={s.p:.2f}, q={s.q:.2f}, gamma={s.gamma:.2f}."
        )
    if value.pareto:
        p = value.pareto
        lines.append(f"{p.name}: r={p.r:.3f}, alpha={p.alpha:.2f} days, s={p.s:.3f}, beta={p.beta:.2f} days.")
    if value.season is not None and value.name:
        lines.append(f"The season, from the same days of last year, makes it {value.season - 1:+.0%}.")
    if value.name and abs(value.price_trend) >= NOTED_TREND:
        lines.append(f"A purchase becomes {np.expm1(value.price_trend):+.0%} dearer in a year.")
    if value.backtest:
        lines += _backtest_lines(value.backtest, (value.backtest, *value.earlier))
    if value.earlier:
        cuts = ", ".join(f"{test.fitted_until:%Y-%m-%d}" for test in value.earlier)
        lines.append(f"Also tried on the windows after {cuts}; the mean of all decides.")
    if value.bands:
        lines.append(
            f"In windows that it wasn't learnt on, {value.bands.buyers_inside:.0%} of the buyers spent within the "
            f"range of those who buy (80% are meant), and {value.bands.below_high:.0%} of all no more than the high "
            f"end of the future value (90% are meant{_and_more(value.bands.high_at_forecast)})."
        )
    return lines + [f"{name} wasn't tried: {why}." for name, why in value.left_out.items()]


def _and_more(at_forecast: float) -> str:
    """Why more than nine in ten are below the high end, where that is so."""
    if at_forecast < 0.05:
        return ""
    return f"; more of the {at_forecast:.0%} of whose kind more than nine in ten buy nothing, and who have no other end"


def _backtest_lines(test: Backtest, tests: tuple[Backtest, ...]) -> list[str]:
    lines = [
        (
            f"Backtest: fitted until {test.fitted_until:%Y-%m-%d}, then {test.window_days} days held out, in which "
            f"{test.customers:,} customers made {test.purchases:,} purchases."
        )
    ]
    judged = ((model, shortcomings(tests, model.name)) for model in test.models)
    lines += [_score_line(model) + (f" It {'; it '.join(lost)}." if lost else "") for model, lost in judged]
    return [*lines, *map(_score_line, test.guesses)]


def _score_line(score: Score) -> str:
    auc = "none" if score.auc is None else f"{score.auc:.3f}"
    return (
        f"{score.name}: error for a customer {score.rmse_purchases:.3f} purchases and {score.rmse_spend:.2f} of spend, "
        f"of the total {score.total_error:+.1%} and {score.spend_total_error:+.1%}; "
        f"best tenth holds {score.top_decile:.1%} of purchases; AUC {auc}."
    )


def _risk_line(risk: RiskReport) -> str:
    name = {"churn": "Churn risk", "reactivation": "Reactivation chance"}[risk.kind]
    if risk.brier is None:
        return f"No {name.lower()} is published: {risk.reason}."
    head = f"No {name.lower()} is published: {risk.reason}." if risk.reason else f"{name} in {risk.days} days:"
    figures = " ".join(f"{b.forecast:.0%} came true for {b.happened:.0%} of {b.customers:,};" for b in risk.bins)
    sorts = "" if risk.auc is None else (
        f" AUC {risk.auc:.3f}; {risk.auc_silence:.3f} by days since the last purchase and {risk.auc_frequency:.3f} by "
        "purchases in the window before."
    )  # fmt: skip
    return (
        f"{head} tested on {risk.customers:,} customers, Brier score {risk.brier:.4f} against {risk.brier_base:.4f} "
        f"for the same chance for everybody. {figures.rstrip(';')}.{sorts}"
    )


def _stage_lines(found: StageForecast) -> list[str]:
    if found.reason:
        return [f"No forecast of the stages: {found.reason}."]
    ahead = ", ".join(
        f"{stage} {now:,.0f} to {then:,.0f}"
        for stage, now, then in zip(STAGES, found.sizes[0], found.sizes[-1], strict=True)
    )
    days = found.step_days * (len(found.sizes) - 1)
    verdict = "It loses to that guess: don't rely on it." if found.loses else "It beats that guess."
    return [
        f"Stages in {days} days, if customers go on moving as they did: {ahead}.",
        (
            f"Such a forecast for tonight, made {found.step_days} days ago, had {found.error:.1%} of the customers in "
            f"a wrong stage; that nothing changes, {found.naive_error:.1%}. {verdict}"
        ),
    ]


def _segment_lines(found: SegmentReport) -> list[str]:
    head = f"Micro-segments: version {found.version}, made {found.fitted_on} because {found.reason}"
    if not found.shares:  # as earlier releases have left it
        return [f"{head}."]
    count, smallest = many(len(found.shares), "of them has", "of them have"), in_percent(min(found.shares.values()))
    lines = [f"{head}; {count} customers, the smallest {smallest}."]
    small = [f"{name} ({in_percent(share)})" for name, share in found.shares.items() if share < SMALLEST]
    if small:
        lines.append(
            f"Less than {SMALLEST:.0%} of the customers are in {', '.join(small)}: no stage is left out for its size."
        )
    lines += [f"Bands of {told}." for told in found.scales]
    if found.drift:
        lines.append(
            f"Shares have moved since by an index of {found.drift.index:.3f} in all, most in {found.drift.where}."
        )
    return lines
