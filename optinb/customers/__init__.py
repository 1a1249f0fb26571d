"""What is known and expected of every customer: features, lifecycle stage, future value and risk."""

from typing import TYPE_CHECKING

from optinb.base.lazily import lazily

if TYPE_CHECKING:
    from optinb.customers.attributes import ATTRIBUTES, HISTORY_COLUMNS, declared_features, labels_of, meanings_of
    from optinb.customers.backtest import Backtest, Score
    from optinb.customers.bgnbd import BgNbd, GammaGamma, fit_bgnbd, fit_gamma_gamma
    from optinb.customers.card import ModelCard, ModelReport
    from optinb.customers.choosing import ValueReport, choose_value_model
    from optinb.customers.customer_card import CustomerCard
    from optinb.customers.features import FEATURES, build_features, comeback_feature
    from optinb.customers.lifecycle import (
        STAGES,
        Thresholds,
        choose_thresholds,
        purchase_days,
        stage_expression,
    )
    from optinb.customers.model import CustomerModel, model_customers
    from optinb.customers.moves import Migration, forecast_stages
    from optinb.customers.pauses import pause_histogram
    from optinb.customers.segmentation import Segmentation, segment
    from optinb.customers.value import fit_value_model
else:
    __getattr__ = lazily(
        __name__,
        {
            ".attributes": "ATTRIBUTES HISTORY_COLUMNS declared_features labels_of meanings_of",
            ".backtest": "Backtest Score",
            ".bgnbd": "BgNbd GammaGamma fit_bgnbd fit_gamma_gamma",
            ".card": "ModelCard ModelReport",
            ".choosing": "ValueReport choose_value_model",
            ".customer_card": "CustomerCard",
            ".features": "FEATURES build_features comeback_feature",
            ".lifecycle": "STAGES Thresholds choose_thresholds purchase_days stage_expression",
            ".model": "CustomerModel model_customers",
            ".moves": "Migration forecast_stages",
            ".pauses": "pause_histogram",
            ".segmentation": "Segmentation segment",
            ".value": "fit_value_model",
        },
    )
