"""What is known and expected of every customer: features, lifecycle stage, future value and risk."""

from __future__ import annotations

from optinb.customers.backtest import Backtest, Score, backtest
from optinb.customers.bgnbd import BgNbd, fit_bgnbd
from optinb.customers.card import ModelCard
from optinb.customers.features import FEATURES, Aggregate, Derived, Feature, build_features, comeback_feature
from optinb.customers.gamma_gamma import GammaGamma, fit_gamma_gamma
from optinb.customers.lifecycle import STAGES, Thresholds, choose_thresholds, pause_histogram, stage_expression
from optinb.customers.model import ATTRIBUTES, HISTORY_COLUMNS, Attribute, CustomerModel, model_customers
from optinb.customers.purchases import purchase_days
from optinb.customers.value import VALUE_SEGMENTS, ValueModel, fit_value_model

__all__ = [
    "ATTRIBUTES",
    "FEATURES",
    "HISTORY_COLUMNS",
    "STAGES",
    "VALUE_SEGMENTS",
    "Aggregate",
    "Attribute",
    "Backtest",
    "BgNbd",
    "CustomerModel",
    "Derived",
    "Feature",
    "GammaGamma",
    "ModelCard",
    "Score",
    "Thresholds",
    "ValueModel",
    "backtest",
    "build_features",
    "choose_thresholds",
    "comeback_feature",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "fit_value_model",
    "model_customers",
    "pause_histogram",
    "purchase_days",
    "stage_expression",
]
