"""Whom a campaign moves, as an attribute: scored each night, bound by approvals, and told with its date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from page_text import text_of

from optinb import attr, uplift, views
from optinb.campaigns import campaign_from
from optinb.demo import CAMPAIGNS, RUN_DATE
from optinb.engine.tables import score_meanings
from optinb.errors import RuleError, UsageError
from optinb.measure.campaign_uplift import CampaignUplift, UpliftModel
from optinb.measure.published_uplifts import PublishedUplifts, scored_by
from optinb.measure.uplift import learn_uplift
from optinb.measure.uplift_features import codes_of, figures_of, known_on
from optinb.rules import attributes_of, parse, to_text, uplift_attribute
from optinb.segments.compile import members
from optinb.show import text

if TYPE_CHECKING:
    from optinb.workspace import Workspace

NAME = "Summer sale"


def learned(ws: Workspace, *, moves: str = "DE", name: str = NAME) -> CampaignUplift:
    """What a campaign teaches that has moved the customers of one country and nobody else."""
    customers = ws.customers_on(RUN_DATE)
    known = known_on(customers, RUN_DATE).collect()
    random = np.random.default_rng(3)
    people = known.sample(20_000, with_replacement=True, seed=3)
    got_it = random.random(people.height) < 0.8
    bought = (
        random.random(people.height) < 0.05 + 0.4 * got_it * (people["country"] == moves).fill_null(False).to_numpy()
    )
    codes = codes_of(known)
    found = learn_uplift(figures_of(people, codes), got_it, bought.astype(float), seed=1, control_share=0.2)
    model = UpliftModel(codes=dict(codes), models=found.models)
    assert found.qini is not None
    return CampaignUplift(
        campaign=name,
        nights=(RUN_DATE,),
        made_on=RUN_DATE,
        customers=found.customers,
        control_customers=found.control_customers,
        attributes=tuple(codes),
        qini=found.qini,
        ranking=model.score(customers, RUN_DATE).sort("uplift", "customer_id", descending=[True, False]),
        model=model,
    )


def uplifts(ws: Workspace, found: CampaignUplift) -> PublishedUplifts:
    """The service of a workspace in which a campaign has taught this."""
    service = ws.uplifts
    service._learn = lambda _: found
    return service


@pytest.fixture
def published(ws: Workspace) -> Workspace:
    uplifts(ws, learned(ws)).publish(NAME)
    return ws


def countries(ws: Workspace, rule: Any, **how: Any) -> dict[str, int]:
    members = ws.members(rule, **how)
    return dict(members["country"].value_counts().iter_rows())


def test_a_rule_chooses_those_whom_a_campaign_moves_and_nobody_else(published: Workspace) -> None:
    moved = countries(published, uplift(NAME) >= 0.2)
    everybody = countries(published, attr("country").is_known())
    assert moved == {"DE": everybody["DE"]}
    assert countries(published, uplift("SUMMER sale").bottom(20)).keys().isdisjoint({"DE"})
    assert countries(published, uplift(NAME) >= 0.2, engine="duckdb") == moved


@pytest.mark.spark
def test_spark_chooses_the_same_by_an_uplift(published: Workspace, spark: Any) -> None:
    rule = uplift(NAME) >= 0.2
    assert countries(published, rule, engine="spark") == countries(published, rule)


@pytest.mark.parametrize("name", ["Summer sale", "v1.2 `x`, (50 %)", "Über-Sale", "ΣΑΛΕ 1", "सेल", "İstanbul"])
def test_an_uplift_is_written_as_it_is_read_and_named_by_what_every_engine_takes(name: str) -> None:
    rule = uplift(name).top(30)
    assert parse(to_text(rule)) == rule and to_text(rule).startswith("uplift('")
    assert attributes_of(rule) == {uplift_attribute(name)}
    assert not set(uplift_attribute(name)) & set(".`,()%")
    assert parse(f"uplift({name!r}).top(30)") == rule


def test_names_that_differ_by_their_vowels_alone_are_different_uplifts() -> None:
    assert len({uplift_attribute(name) for name in ("साल", "सेल", "सुल", "sale", "säle")}) == 5


def test_what_is_learned_and_kept_names_no_value_that_few_customers_have() -> None:
    names = ["Ann", "Bob", "Eve"] * 40 + ["Zaphod"]
    known = pl.DataFrame({"customer_id": [str(n) for n in range(len(names))], "first_name": names})
    assert codes_of(known) == {"first_name": ("Ann", "Bob", "Eve")}


def test_discovery_does_not_find_again_what_a_score_has_learned(published: Workspace) -> None:
    found = published.discover('did("purchase").within(days=60)')
    assert found.left_out["uplift of summer sale"] == "learned from what customers did"
    asked = published.discover("push_opt_in", include=["uplift of summer sale"])
    assert "uplift of summer sale" in asked.attributes


def test_a_delivered_column_of_the_same_name_has_its_own_meaning(published: Workspace) -> None:
    snapshot = published.snapshot()
    delivered = {**snapshot.schema("customers"), "uplift of summer sale": pl.Int64()}

    class Delivered:
        has, table = snapshot.has, snapshot.table
        schema = staticmethod(lambda _: delivered)

    assert score_meanings(snapshot).keys() == {"uplift of summer sale"}
    assert score_meanings(Delivered()) == {}  # type: ignore[arg-type]


def test_an_uplift_of_a_past_day_is_said_not_to_be_kept(published: Workspace) -> None:
    rule = uplift(NAME).top(30)
    with pytest.raises(RuleError, match="isn't kept of past days"):
        members(rule, published.tables_on(RUN_DATE, rule))


def test_a_name_without_a_letter_or_a_digit_is_no_uplift() -> None:
    with pytest.raises(RuleError, match="no letter or digit"):
        uplift("%%%")
    assert to_text(attr("uplift of ").is_known()) == "attr('uplift of ').is_known()"
    assert to_text(attr("uplift of A.B").is_known()) == "attr('uplift of A.B').is_known()"


def test_counts_previews_and_the_page_of_attributes_say_how_far_it_can_be_relied_on(published: Workspace) -> None:
    (note,) = published.groups.count(uplift(NAME).top(30)).notes
    assert f"learned on {RUN_DATE}" in note and "target by it" in note and "more than at random" in note
    assert published.preview(uplift(NAME).top(30)).notes == (note,)
    assert published.groups.count(attr("country") == "DE").notes == ()
    assert "raises a purchase in its window" in text_of(views.attributes(published).data or "")
    meanings = published.vocabulary().meanings
    assert meanings["uplift of summer sale"] in note


def test_each_night_scores_its_customers_by_what_was_learned_and_leaves_that_as_it_is(published: Workspace) -> None:
    (before,), column = published.uplifts.list(), attr("uplift of summer sale")
    published.model(RUN_DATE)
    assert published.uplifts.list() == (before,)
    assert countries(published, column >= 0.2).keys() == {"DE"}
    new = pl.LazyFrame({"customer_id": ["new DE", "new AT"], "country": ["DE", "AT"]})
    scored = dict(scored_by((before,), new, RUN_DATE).iter_rows())
    assert scored["new DE"] > 0.2 > 0.1 > scored["new AT"]


def test_an_approval_binds_what_was_learned_and_not_the_night_that_scores_by_it(published: Workspace) -> None:
    published.groups.save("Moved", uplift(NAME).top(30))
    published.groups.save("Germans", attr("country") == "DE")

    def definitions(group: str) -> str:
        campaign = campaign_from({**CAMPAIGNS[1], "group": group})
        return published._resolver.resolve(campaign).parts()["definitions of figures"]

    (score,) = published.uplifts.list()
    approved = definitions("Moved")
    assert score.sha256 in approved and score.sha256 not in definitions("Germans")
    published.model(RUN_DATE)
    assert definitions("Moved") == approved
    uplifts(published, learned(published, moves="AT")).publish(NAME)
    assert definitions("Moved") != approved and countries(published, uplift(NAME) >= 0.2).keys() == {"AT"}


def test_an_uplift_that_is_withdrawn_selects_nobody_and_says_what_to_do(published: Workspace) -> None:
    published.groups.save("Moved", uplift(NAME).top(30))
    published.uplifts.withdraw("summer SALE")
    assert published.uplifts.list() == ()
    with pytest.raises(RuleError, match=r"no 'uplift of summer sale' is published.*optinb uplift NAME --publish"):
        published.groups.count("Moved")
    with pytest.raises(UsageError, match="no uplift of 'Summer sale' is published"):
        published.uplifts.withdraw(NAME)
    actions = [entry.action for entry in published.store.audit.list()]
    assert actions.count("uplift published") == actions.count("uplift withdrawn") == 1


def test_a_slip_in_the_name_is_told_with_the_nearest_one(published: Workspace) -> None:
    with pytest.raises(RuleError, match="did you mean 'uplift of summer sale'"):
        published.groups.count(uplift("Sumer sale").top(30))


def test_a_ranking_that_is_not_better_than_chance_is_not_published(ws: Workspace) -> None:
    found = learned(ws)
    vain = replace(found, ranking=None, model=None, qini=None, more_held_out=900)
    with pytest.raises(UsageError, match=r"isn't published: no ranking: too few bought.*900 customers more"):
        uplifts(ws, vain).publish(NAME)
    assert ws.uplifts.list() == () and "uplift of summer sale" not in ws.customers().collect_schema()


def test_two_campaigns_of_the_same_letters_do_not_share_an_attribute(published: Workspace) -> None:
    with pytest.raises(UsageError, match=r"that of 'Summer sale' already.*withdraw it first"):
        uplifts(published, learned(published, name="Summer (sale)")).publish("Summer (sale)")


def test_what_was_published_shows_itself(published: Workspace) -> None:
    (score,) = published.uplifts.list()
    shown = text(score)
    assert "uplift('summer sale')" in shown and score.sha256 in shown and score.author in shown


def test_before_the_first_model_nothing_is_published(ws: Workspace) -> None:
    found, snapshot = learned(ws), ws.snapshot()

    class Unmodelled:
        model_date = None
        version = snapshot.version

    service = uplifts(ws, found)
    service._published = lambda: Unmodelled()  # type: ignore[assignment,return-value]
    with pytest.raises(UsageError, match="run `optinb model`"):
        service.publish(NAME)
