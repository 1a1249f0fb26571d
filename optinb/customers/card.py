"""The model card: what was fitted on a night, on what data, how good it is, or why nothing was fitted."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.customers.backtest import Backtest
from optinb.customers.lifecycle import Thresholds
from optinb.customers.value import ValueModel

if TYPE_CHECKING:
    from optinb.customers.backtest import Score


class ModelCard(Struct, frozen=True, kw_only=True):
    """Everything that a reader of the nightly report must know to trust, or distrust, the models of a night.

    Without a `model`, `not_fitted` says why; without a `backtest`, `not_tested` does. `notes` are facts of the
    data that limit what the figures mean.
    """

    run_date: date
    value_days: int
    customers: int
    buyers: int
    repeaters: int
    transactions: int
    history_days: int
    thresholds: Thresholds
    model: ValueModel | None
    not_fitted: str | None
    backtest: Backtest | None
    not_tested: str | None
    notes: tuple[str, ...] = ()

    @property
    def loses_to(self) -> tuple[str, ...]:
        """What did better than the model in the backtest; empty if nothing did or none was made."""
        return self.backtest.loses_to if self.backtest else ()

    def lines(self) -> list[str]:
        """The card as sentences, for a report or a notebook."""
        lines = [
            (
                f"Data: {self.customers:,} customers, {self.buyers:,} with a purchase, {self.repeaters:,} with more; "
                f"{self.transactions:,} transactions over {self.history_days:,} days."
            ),
            self.thresholds.explanation,
        ]
        if self.model:
            m, s = self.model.purchases, self.model.spend
            lines.append(
                f"Future value looks {self.value_days} days ahead. BG/NBD: r={m.r:.3f}, alpha={m.alpha:.2f} days, "
                f"a={m.a:.3f}, b={m.b:.3f}; Gamma-Gamma: p={s.p:.2f}, q={s.q:.2f}, gamma={s.gamma:.2f}."
            )
        else:
            lines.append(f"No future value: {self.not_fitted}.")
        if self.backtest:
            lines += _backtest_lines(self.backtest)
        elif self.model:
            lines.append(f"No backtest: {self.not_tested}.")
        return [*lines, *self.notes]


def _backtest_lines(test: Backtest) -> list[str]:
    lines = [
        (
            f"Backtest: fitted until {test.fitted_until:%Y-%m-%d}, then {test.window_days} days held out, in which "
            f"{test.customers:,} customers made {test.purchases:,} purchases."
        ),
        *(_score_line(score) for score in test.scores),
        f"Chance of no purchase: Brier score {test.brier:.4f}, and {test.brier_base:.4f} for the same chance for all.",
    ]
    if test.loses_to:
        lines.append(f"The model loses to a naive guess: {'; '.join(test.loses_to)}. Don't rely on it for that figure.")
    return lines


def _score_line(score: Score) -> str:
    auc = "none" if score.auc is None else f"{score.auc:.3f}"
    return (
        f"{score.name}: error for a customer {score.rmse_purchases:.3f} purchases and {score.rmse_spend:.2f} of spend, "
        f"of the total {score.total_error:+.1%} and {score.spend_total_error:+.1%}; "
        f"best tenth holds {score.top_decile:.1%} of purchases; AUC {auc}."
    )
