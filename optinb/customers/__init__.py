"""What is known and expected of every customer: features, lifecycle stage, future value and risk."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
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
    from optinb.customers.purchases import purchase_days
    from optinb.customers.ranks import VALUE_SEGMENTS
    from optinb.customers.risk import RiskReport, risks
    from optinb.customers.segmentation import Segmentation, segment
    from optinb.customers.value import ValueModel, fit_value_model
else:
    __getattr__ = lazily(
        __name__,
        {
            ".attributes": "ATTRIBUTES HISTORY_COLUMNS Attribute",
            ".backtest": "Backtest Score",
            ".bgnbd": "BgNbd fit_bgnbd",
            ".card": "ModelCard ModelReport",
            ".choosing": "ValueReport choose_value_model",
            ".customer_card": "CustomerCard",
            ".declared": "declared_features",
            ".features": "FEATURES Aggregate Derived Feature build_features comeback_feature",
            ".gamma_gamma": "GammaGamma fit_gamma_gamma",
            ".lifecycle": "STAGES Thresholds choose_thresholds pause_histogram stage_expression",
            ".markov": "StageForecast forecast_stages",
            ".model": "CustomerModel model_customers",
            ".moves": "Migration SegmentMove",
            ".purchases": "purchase_days",
            ".ranks": "VALUE_SEGMENTS",
            ".risk": "RiskReport risks",
            ".segmentation": "Segmentation segment",
            ".value": "ValueModel fit_value_model",
        },
    )
