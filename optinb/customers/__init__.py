"""What is known and expected of every customer: features, lifecycle stage, future value and risk."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.customers.attributes import ATTRIBUTES, HISTORY_COLUMNS
    from optinb.customers.backtest import Backtest, Score
    from optinb.customers.bgnbd import BgNbd, fit_bgnbd
    from optinb.customers.card import ModelCard, ModelReport
    from optinb.customers.choosing import ValueReport, choose_value_model
    from optinb.customers.customer_card import CustomerCard
    from optinb.customers.declared import declared_features
    from optinb.customers.features import FEATURES, build_features, comeback_feature
    from optinb.customers.gamma_gamma import GammaGamma, fit_gamma_gamma
    from optinb.customers.lifecycle import STAGES, Thresholds, choose_thresholds, pause_histogram, stage_expression
    from optinb.customers.markov import forecast_stages
    from optinb.customers.model import CustomerModel, model_customers
    from optinb.customers.moves import Migration
    from optinb.customers.purchases import purchase_days
    from optinb.customers.segmentation import Segmentation, segment
    from optinb.customers.value import fit_value_model
else:
    __getattr__ = lazily(
        __name__,
        {
            ".attributes": "ATTRIBUTES HISTORY_COLUMNS",
            ".backtest": "Backtest Score",
            ".bgnbd": "BgNbd fit_bgnbd",
            ".card": "ModelCard ModelReport",
            ".choosing": "ValueReport choose_value_model",
            ".customer_card": "CustomerCard",
            ".declared": "declared_features",
            ".features": "FEATURES build_features comeback_feature",
            ".gamma_gamma": "GammaGamma fit_gamma_gamma",
            ".lifecycle": "STAGES Thresholds choose_thresholds pause_histogram stage_expression",
            ".markov": "forecast_stages",
            ".model": "CustomerModel model_customers",
            ".moves": "Migration",
            ".purchases": "purchase_days",
            ".segmentation": "Segmentation segment",
            ".value": "fit_value_model",
        },
    )
