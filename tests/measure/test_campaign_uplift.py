"""Today's customers in the order of what a campaign would do for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from page_text import text_of

from optinb.errors import UsageError
from optinb.measure.assignment import TESTED, assign
from optinb.measure.campaign_tests import CampaignTest
from optinb.measure.campaign_uplift import CampaignUplift, CampaignUplifts
from optinb.measure.outcomes import OUTCOMES
from optinb.measure.uplift_features import codes_of, figures_of, known_on
from optinb.show import html, text

SENT = datetime(2026, 11, 1, 17, 30, tzinfo=UTC).replace(tzinfo=None)
NIGHT, TODAY = SENT.date(), date(2026, 11, 29)


def customers(names: list[str], countries: list[str]) -> pl.LazyFrame:
    born = [date(1990, 1, 1) + timedelta(days=n % 3_000) for n in range(len(names))]
    return pl.LazyFrame({"customer_id": names, "country": countries, "birth_date": born, "is_test": False})


def uplift(adds: float, *, size: int = 3_000, **result: Any) -> CampaignUplift:
    """Of a campaign that adds so much to the chance that a German buys, and nothing to that of others."""
    random = np.random.default_rng(5)
    names = [f"c{n}" for n in range(size)]
    german, held_out = random.random(size) < 0.5, random.random(size) < 0.2
    bought = random.random(size) < 0.1 + adds * (german & ~held_out)
    tested = pl.DataFrame(
        {
            "person": names, "night": [NIGHT] * size, "send_at": [SENT] * size, "variant": [None] * size,
            "role": np.where(held_out, "control", "recipient"), "customer_id": names,
        },
        schema={**TESTED, "customer_id": pl.String()},
    )  # fmt: skip
    assignment = assign(tested, days=7)
    did = pl.DataFrame({"person": names, "orders": bought.astype(int)})
    rows = assignment.people.join(did, on="person", how="left", maintain_order="left")
    nothing = {name: pl.lit(0) for name in OUTCOMES if name not in rows.columns}
    record: Any = SimpleNamespace(id="1", campaign=None)
    test = CampaignTest(
        record=record, tested=tested, assignment=assignment,
        outcomes=rows.with_columns(**nothing).select(OUTCOMES.names()).cast(OUTCOMES),  # type: ignore[arg-type]
        measured_until=SENT + timedelta(days=8),
    )  # fmt: skip
    said = {
        "campaign": "Summer", "nights": (NIGHT,), "customers": {"message": 1, "control": 1}, "problem": "",
        "is_over": True, "is_doubtful": False,
        "planned": {"control": 0.2}, **result,
    }  # fmt: skip
    results: Any = SimpleNamespace(test_of=lambda _: test, result=lambda _: SimpleNamespace(**said))
    published: Any = SimpleNamespace(import_date=TODAY)
    # today's are others, so that only what was known on the night can have been learned from
    then = customers(names, np.where(german, "DE", "AT").tolist())
    now = customers(["new DE", "new AT"], ["DE", "AT"])
    known = {NIGHT: then, TODAY: now}
    return CampaignUplifts(results, published=lambda: published, customers_on=known.__getitem__).of("Summer")


def test_today_s_customers_are_ranked_by_what_was_known_of_others_before_the_send() -> None:
    found = uplift(0.25)
    assert found.is_shown and found.ranking is not None and found.attributes == ("country", "birth_date")
    assert found.ranking["customer_id"][0] == "new DE" and found.ranking["uplift"][0] > 0.15
    assert abs(found.ranking.filter(pl.col("customer_id") == "new AT")["uplift"].item()) < 0.1
    assert found.sentence().startswith("target by it: of 10,000 customers, writing to the half with the highest uplift")
    assert found.best(0.5).to_list() == ["new DE"]
    with pytest.raises(UsageError, match="30 is no share"):
        found.best(30)
    assert found.sentence() in text(found) and "written to" in text(found)
    assert "Ranked are the customers of 2026-11-29" in text_of(html(found))


def test_a_ranking_that_is_no_better_than_chance_is_not_handed_out() -> None:
    found = uplift(0.0)
    assert found.ranking is None and found.qini is not None and not found.is_shown
    assert "don't target by it" in text(found) and "customers more held out, at the same share" in text(found)
    with pytest.raises(UsageError, match=r"nobody can be chosen by the uplift of 'Summer': don't target by it"):
        found.best(0.5)
    assert "written to" not in text(found) + text_of(html(found))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"problem": "nobody was held out"}, "no ranking: nobody was held out"),
        ({"is_doubtful": True}, "no ranking: something else than chance made its control group"),
        (
            {"is_over": False, "final_on": SENT + timedelta(days=7), "measured_until": SENT},
            "no ranking: its last window ends on 2026-11-08, and the delivered tables tell of purchases until",
        ),
    ],
)
def test_why_nothing_is_learned_is_said(given: dict[str, Any], said: str) -> None:
    found = uplift(0.25, **given)
    assert found.sentence().startswith(said) and found.ranking is None and found.qini is None
    assert said in text(found)


def test_a_value_that_was_not_learned_and_a_column_that_is_gone_are_not_known() -> None:
    then = known_on(customers([f"c{n}" for n in range(90)], ["DE", "AT", "DE"] * 30), NIGHT).collect()
    codes = codes_of(then)
    assert codes == {"country": ("AT", "DE"), "birth_date": None}
    assert figures_of(then, codes).tolist()[:3] == [[1, 13_453], [0, 13_452], [1, 13_451]]
    now = known_on(customers(["d"], ["CH"]).drop("birth_date"), TODAY).collect()
    assert np.isnan(figures_of(now, codes)).all()
