"""What is known and expected of every customer: features, lifecycle stage, future value and risk."""

from optinb.customers.attributes import ATTRIBUTES, HISTORY_COLUMNS, Attribute
from optinb.customers.backtest import Backtest, Score
from optinb.customers.bgnbd import BgNbd, fit_bgnbd
from optinb.customers.card import ModelCard, ModelReport
from optinb.customers.choosing import ValueReport, choose_value_model
from optinb.customers.customer_card import CustomerCard
from optinb.customers.declared import declared_features
from optinb.customers.features import FEATURES, Aggregate, Derived, Feature, build_features, comeback_feature
from optinb.customers.gamma_gamma import GammaGamma, fit_gamma_gamma
from optinb.customers.lifecycle import STAGES, Thresholds, choose_thresholds, pause_histogram, stage_expression
from optinb.customers.markov import StageForecast, forecast_stages
from optinb.customers.model import CustomerModel, model_customers
from optinb.customers.moves import Migration, SegmentMove
from optinb.customers.origins import origins
from optinb.customers.purchases import purchase_days
from optinb.customers.ranks import VALUE_SEGMENTS
from optinb.customers.risk import RiskReport, risks
from optinb.customers.segmentation import Segmentation, segment
from optinb.customers.value import ValueModel, fit_value_model

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
    "CustomerCard",
    "CustomerModel",
    "Derived",
    "Feature",
    "GammaGamma",
    "Migration",
    "ModelCard",
    "ModelReport",
    "RiskReport",
    "Score",
    "SegmentMove",
    "Segmentation",
    "StageForecast",
    "Thresholds",
    "ValueModel",
    "ValueReport",
    "build_features",
    "choose_thresholds",
    "choose_value_model",
    "comeback_feature",
    "declared_features",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "fit_value_model",
    "forecast_stages",
    "model_customers",
    "origins",
    "pause_histogram",
    "purchase_days",
    "risks",
    "segment",
    "stage_expression",
]
