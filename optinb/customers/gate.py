"""Which model is good enough to be published: what past windows say, taken together.

A model must beat every guess that costs nothing, on purchases and on spend, and be of some use: who buys must be told
from who doesn't, the best tenth must hold more than its share, and the total must be about right. One good window is
luck: all that the history has room for are looked at, and the mean counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optinb.base.figures import share

if TYPE_CHECKING:
    from optinb.customers.backtest import Backtest, Score

LEAST_AUC = 0.55
LEAST_TENTH = 0.125
"""By chance, a tenth of the customers holds 0.1 of the purchases."""

MOST_TOTAL = 0.3
"""How far the total of purchases may be off, as a share of what happened, in the mean of the windows."""

TIE = 0.02
"""A few large purchases decide the error of spend: so little more of it than a guess has is a tie."""

MARGIN = 0.005
"""A later model must be better by more, so that chance doesn't change the model from night to night."""


def shortcomings(tests: Sequence[Backtest], name: str) -> tuple[str, ...]:
    """Why a model of the backtests isn't good enough, as ends of "it …"; empty if it is."""
    found = []
    for guess in [score.name for score in tests[0].guesses]:
        both = [(test, _named(test.guesses, guess)) for test in tests]
        known = [(_named(test.models, name), against) for test, against in both if against is not None]
        for what, error in _ERRORS.items():
            least = 1 + (TIE if what == "spend" else 0.0)
            if known and np.mean([_against(error(m), error(g)) for m, g in known if m is not None]) >= least:
                found.append(f"lost to {guess}, on {what}")
    return (*found, *useless(tests, name))


def useless(tests: Sequence[Backtest], name: str) -> tuple[str, ...]:
    """What a model of the backtests doesn't tell, whatever the guesses, as ends of "it …"; empty if it is of use."""
    found = []
    mine = [score for test in tests if (score := _named(test.models, name)) is not None]
    sorts = [score.auc for score in mine if score.auc is not None]
    if not sorts or np.mean(sorts) < LEAST_AUC:
        told = f"{np.mean(sorts):.3f}" if sorts else "unknown"
        found.append(f"doesn't tell who buys (AUC {told}, {LEAST_AUC} is needed)")
    tenth = float(np.mean([score.top_decile for score in mine]))
    if tenth < LEAST_TENTH:
        found.append(f"has only {share(tenth)} of the purchases in its best tenth ({share(LEAST_TENTH)} are needed)")
    total = float(np.mean([abs(score.total_error) for score in mine]))
    if total > MOST_TOTAL:
        found.append(f"was {share(total)} off the total ({share(MOST_TOTAL)} is the most)")
    return tuple(found)


def best(tests: Sequence[Backtest], names: Sequence[str]) -> str:
    """The model with the least error of purchases in the mean of the windows; earlier ones of `names` come first."""
    chosen, least = names[0], np.inf
    for name in names:
        error = error_of(tests, name)
        if error < (1 - MARGIN) * least:
            chosen, least = name, error
    return chosen


def error_of(tests: Sequence[Backtest], name: str) -> float:
    """The error of a model's purchases as a share of that of the first guess, in the mean of the windows."""
    shares = [
        _against(score.rmse_purchases, test.guesses[0].rmse_purchases)
        for test in tests
        if (score := _named(test.models, name)) is not None
    ]
    return float(np.mean(shares))


_ERRORS: dict[str, Callable[[Score], float]] = {
    "purchases": lambda score: score.rmse_purchases,
    "spend": lambda score: score.rmse_spend,
}


def _against(error: float, other: float) -> float:
    return error / other if other else (1.0 if not error else np.inf)


def _named(scores: Sequence[Score], name: str) -> Score | None:
    return next((score for score in scores if score.name == name), None)
