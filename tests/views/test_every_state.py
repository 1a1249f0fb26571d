"""Everything that is shown, once for each member of every closed set that it is made of, as the types name them."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, time
from importlib import import_module
from inspect import isfunction
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec
import pytest
from click.testing import CliRunner
from closed_sets import Place, members_of, parameters, places_of, variants
from msgspec.structs import replace
from page_text import text_of

import optinb
from optinb import attr, show, views
from optinb.appboy import Standing, StatedRules, StatedTemplate, TemplateListing, TemplateNews, TemplateRules
from optinb.appboy.template_changes import TemplateChange
from optinb.appboy.template_rules import VendorCap, VendorQuietHours
from optinb.base.settings import Platform
from optinb.base.workspace_folder import init_workspace
from optinb.campaigns import OUTCOMES, REASONS, CampaignChange, CampaignRecord, CampaignState, SendTime, Step, Waterfall
from optinb.campaigns.conversation import Comment
from optinb.cli import main
from optinb.customers import ModelReport
from optinb.customers.scores import PublishedScore
from optinb.delivery import (
    Answer,
    Cancellation,
    ConfirmedNight,
    ConfirmedNights,
    ForgottenCustomer,
    Reconciled,
    Recovered,
    SendMove,
    Settled,
    Settlements,
)
from optinb.delivery.confirmation import LIKELY_FILTERS, ArrivalStatus
from optinb.delivery.confirmed_nights import LOSSES, CodesGivenBack
from optinb.delivery.journal import UNTOLD, ConfirmedCounts, DeliveryCounts, ReachDay
from optinb.delivery.journal import Verdict as Said
from optinb.delivery.journal.values import StateName
from optinb.delivery.night_answers import ARRIVALS, DELIVERIES, SETTLED
from optinb.delivery.recall import Recall
from optinb.delivery.send_watch import Stage, watch
from optinb.demo import AUTHOR, CAMPAIGNS, KEYS, RUN_DATE, demo_settings
from optinb.errors import Exit
from optinb.measure import (
    AllResults,
    ArmFunnel,
    ArmResult,
    CampaignFigures,
    CampaignPage,
    CampaignPart,
    CampaignRedemptions,
    CampaignResult,
    CampaignSummary,
    DayEffect,
    Effect,
    FiguresRead,
    FinalCard,
    Funnel,
    FunnelStep,
    Measuring,
    MessageSummary,
    NightFigures,
    NightSummary,
    OverDays,
    Programme,
    RedeemedNight,
    ResultPart,
    in_one_line,
    render_report,
)
from optinb.measure.arms import MEANS, Advice
from optinb.measure.drawn_result import ADVICE, DRAWN
from optinb.measure.funnel import Step as FunnelStepName
from optinb.measure.noted_results import note_of, with_note
from optinb.measure.pages import TAKEN
from optinb.nightly import Blocked, Night
from optinb.planning import CampaignPreview
from optinb.planning.approving import LastApproval
from optinb.rehearsal import JOURNAL
from optinb.rules import to_json
from optinb.sandbox import Sandbox, demo_world
from optinb.segments import Distribution, GroupsRecorded, NewsItem, Outcome
from optinb.segments import News as WhatChanged
from optinb.segments.discovery import Discovery
from optinb.segments.discovery.finding import HeldBefore
from optinb.segments.news.item import NewsKind
from optinb.show import campaigns, customers, pages
from optinb.show.registry import ROOMS, entries, fields, find
from optinb.store import AuditVerdict
from optinb.views.calendar_view import weeks_of
from optinb.warehouse.report import ColumnDrift
from optinb.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from optinb.delivery.send_watch import NightSends

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
ENTRIES = {entry.kind: entry for room in ROOMS for entry in entries(room)}
# What the views show beside whole values: pieces without the style, and tables that have no type of their own.
PIECES: tuple[Callable[..., str], ...] = (
    customers.micro_segments,
    customers.stages_over_time,
    campaigns.audience,
    campaigns.for_decision,
    campaigns.message,
    customers.discovery_summary,
    customers.bar,
    customers.distribution,
    customers.download,
    customers.figures,
    customers.finding,
    customers.news_item,
    customers.tally,
)
SHOWN: dict[str, Callable[..., str]] = {
    **{kind: entry.html for kind, entry in ENTRIES.items() if entry.page},
    **{piece.__name__: piece for piece in PIECES},
}
TEXTS = tuple(kind for kind, entry in ENTRIES.items() if entry.text is not fields)
# Rules have sentences of their own, and the inner figures of models are no words of anybody's.
ELSEWHERE = ("optinb.rules", "optinb.customers.layers", "optinb.base.settings")


@pytest.fixture(scope="module")
def used(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose night is over, with a campaign in each state."""
    root = tmp_path_factory.mktemp("used") / "ws"
    shutil.copytree(finished, root)
    with pytest.MonkeyPatch.context() as patch, Sandbox(demo_world(), journal=root / JOURNAL, now=NOW) as appboy:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        patch.setenv("OPTINB_NOW", NOW.isoformat())
        file = root / "optinb.toml"
        file.write_text(re.sub(r"http://127\.0\.0\.1:\d+", appboy.url, file.read_text()))
        with optinb.open_workspace(root, user=AUTHOR) as ws:
            in_each_state(ws)
            yield ws


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace that has nothing but its settings."""
    root = tmp_path_factory.mktemp("empty") / "ws"
    init_workspace(root, settings=demo_settings("http://127.0.0.1:1"))
    with optinb.open_workspace(root, user=AUTHOR) as ws:
        yield ws


def in_each_state(ws: Workspace) -> None:
    """Plans a campaign for each state, named as the state is."""
    approval = ws.campaigns.get(CAMPAIGNS[0]["name"]).approval
    for state in get_args(CampaignState):
        fields = {**CAMPAIGNS[1], "name": f"Is {state}", "app_group": "Club"}
        record = ws.campaigns.submit(fields)
        given = None if state in ("draft", "submitted", "rejected") else approval
        there = replace(record, state=state, version=2, comment=f"so it is {state}", approval=given)
        ws.store.campaigns.put(there, expected=1, user=AUTHOR, action="submit", now=NOW)


@pytest.fixture(scope="module")
def examples(used: Workspace) -> dict[type, list[Any]]:
    """Values of every kind that is shown, made by a workspace that has been worked with."""
    ws, shop, club = used, CAMPAIGNS[0], CAMPAIGNS[1]
    offer = {"name": "Ten", "kind": "discount", "value": "10 %", "terms": "none", "valid_until": "2027-01-01",
             "cost_of_one": 5}  # fmt: skip
    properties = {**shop["properties"], "promo_code": {"offer": "value"}}
    shop_plan = {**shop, "offer": offer, "properties": properties}
    on_a_day = [{"date": "2026-12-01"}, {"every": "week", "days": ["monday"]}, {"every": "month", "day": "last"},
                {"every": "day"}]  # fmt: skip
    campaigns = [
        ws.campaigns.read({**shop_plan, "name": f"Kind {at}", "schedule": {**when, "at": "18:30"}})
        for at, when in enumerate(on_a_day)
    ]
    rules = TemplateRules(again_after_s=86_400, caps=(VendorCap(1, "day"),),
                          quiet_hours=VendorQuietHours(time(22), time(8)))  # fmt: skip
    stated = StatedRules(rules=rules, by=AUTHOR, at=NOW)
    zone = SendTime(zone="Europe/Berlin", customers=3, wall="18:30", at=NOW)
    shown = {"send_times": (zone,), "refused": "it is had once", "notes": ("A had it",)}
    previews = [replace(ws.campaigns.preview(one, samples=2), **shown) for one in campaigns]
    said = [tuple(replace(message, stated=stated) for message in one.messages) for one in previews]
    previews = [replace(one, messages=messages) for one, messages in zip(previews, said, strict=True)]
    variants = (
        {"name": "Sale"},
        {"name": "Back", "template": "Optimove_WinBack_iOS", "properties": {"x": {"value": 1}}},
    )
    several = {**shop_plan, "name": "Variants", "variants": variants, "phones": "last_used"}
    previews.append(ws.campaigns.preview(several, samples=2, in_full=True))
    previews.append(ws.campaigns.preview({**club, "name": "Beside others"}, samples=2, in_full=True))
    learns = {**shop_plan, "name": "Learns", "variants": ({"name": "A"}, {"name": "B"}), "measurement_days": 7,
              "schedule": campaigns[-1].schedule, "learning": {"figure": "response", "winner": 0.99}}  # fmt: skip
    previews.append(replace(ws.campaigns.preview(learns), sample=previews[0].sample))
    offered = ws.campaigns.submit({**shop_plan, "name": "An offer", "schedule": {"every": "day", "at": "18:30"}})
    records = (ws.campaigns.save_draft(several), ws.campaigns.save_draft(learns), offered, *ws.campaigns.list())
    reason = Answer(
        campaign="A", outcome="recipient", why="gets it", delivery="unknown", settled="missing", send_at=NOW
    )
    change = TemplateChange(template_id="t", name="T", what="new")
    news = TemplateNews(at=NOW, app_group="Shop", change=change)
    drift = ColumnDrift(table="customers", column="country", measure="empty", before=0.1, now=0.2, lowest=0.0,
                        highest=0.1, verdict="jump", setting="max_drift")  # fmt: skip
    imported = replace(ws.import_delivery(RUN_DATE), drift=(drift,))
    check = replace(ws.check(ws.root / "inbox" / f"{RUN_DATE}"), report=imported)
    ws.codes.add("Codes", ["A1", "B2"])
    (run, *_) = ws.store.runs.list()
    night = msgspec.convert(run.summary, NightSummary)
    listed = ws.templates.list("Shop")
    counted = ReachDay(app_group_id="s", template_id="t", day=RUN_DATE, platform="ios", sent=3, direct_opens=1,
                       total_opens=2, bounces=0, read_at=NOW, said_first={"sent": 2})  # fmt: skip
    night_figures = NightFigures(template="t", run_date=RUN_DATE, accepted=3, days=(counted,), unread=(RUN_DATE,))
    of_template = replace(night_figures, run_date=None)
    figures = CampaignFigures(campaign="A", nights=(night_figures,), templates=(of_template,))
    of_variants = tuple(replace(night_figures, variant=variant) for variant in ("Long", "Short"))
    took = DeliveryCounts(batches=1, accepted=2)
    of_messages = tuple(
        MessageSummary(number=n, template="T", variant=f"V{n}", recipients=2, counts=took) for n in range(2)
    )
    several = CampaignSummary(name="A", app_group="Shop", template="T, U", target=3, recipients=3, batches=2,
                              accepted=4, messages=of_messages)  # fmt: skip
    came = RedeemedNight(night=RUN_DATE, given=3, redeemed=2, by_others=1, cost=None)
    redeemed = CampaignRedemptions(offer="A", currency="EUR", nights=(came, replace(came, cost=1)), until=RUN_DATE)
    synced = ws.templates.sync("Shop")
    reconciled = Reconciled(campaign="A", run_date=RUN_DATE, unknown=3, received=1, missing=1, untold=1)
    settled = Settled(reconciled=reconciled, list="A, missing")
    found = ws.discover('did("purchase").within(days=30)')
    before = HeldBefore(day=RUN_DATE, looked_at=9, rate=0.2, rate_outside=0.1, low=0.01, high=0.2)
    then = (before, replace(before, low=-0.1), replace(before, rate=0.0), None)
    held = replace(found, earlier_on=RUN_DATE, known=found.known - 1,
                   findings=tuple(replace(found[0], looked_at=9, earlier=one) for one in then))  # fmt: skip
    card, model = ws.model_card(), ws.model()
    lost = dict.fromkeys(LOSSES, 1)
    told = ConfirmedCounts(recipients=90, asked=40, confirmed=20, filtered=lost, unconfirmed=7, planned=50, alarm="Oh")
    arrived = ConfirmedNight(campaign="A", template="T", run_date=RUN_DATE, send_at=NOW, counts=told, is_newest=True)
    results = tuple(brought(low, high) for low, high in ((0.1, 0.3), (-0.3, -0.1), (-inf, inf)))
    kept = note_of(results[0], night=RUN_DATE, now=NOW, version=1)
    assert kept is not None
    noted = with_note(results[1], [kept])
    so_far = replace(results[0], measured_until=None)
    untold = replace(results[0], arms=(), problem="nobody was held out")
    finals = {"results": (FinalCard(campaign="A", note=kept, is_one_of_several=True),),
              "measuring": (Measuring(campaign="B", until=NOW),)}  # fmt: skip
    said = Comment(campaign_id=records[0].id, number=1, version=1, who="Ann", at=NOW, text="Not on a holiday")
    items = tuple(
        NewsItem(key=f"{at:08x}", kind=kind, rule_json=to_json(attr("country") == "DE"), who="country is DE",
                 headline=f"It {kind}", evidence=("this", "that"), customers=9, change=0.2, low=-0.1, high=0.1)
        for at, kind in enumerate(get_args(NewsKind))
    )  # fmt: skip
    changed = WhatChanged(night=RUN_DATE, items=items, looked_at=9, dismissed=frozenset({items[0].key}))
    made: list[Any] = [
        *(CodesGivenBack(campaign="A", run_date=RUN_DATE, pool="codes", filtered=f, codes=c, before=b)
          for f, c, b in ((2, 1, 0), (2, 1, 1), (2, 0, 2), (2, 0, 0), (0, 0, 0))),
        ConfirmedNights(nights=(arrived, replace(arrived, counts=None, problem="no"),
                               replace(arrived, over="seen by A")), minutes=20.0, notes=("later",)),
        ws, imported, check, model, card, ws.customer("000014"), ws.why_member("000014", "Lapsed buyers"),
        ws.migration(RUN_DATE, RUN_DATE), ws.preview("Lapsed buyers", app_group="Shop"), ws.distribution("country"),
        ws.groups.export("Lapsed buyers"),
        ws.profile("Lapsed buyers"), ws.overlap(("Lapsed buyers", "Club regulars")), found, held,
        ws.sizes(("Lapsed buyers", "Club regulars")), ws.reach_of("000014"), ws.groups.count("Lapsed buyers"),
        *items, changed, replace(changed, items=()), WhatChanged(night=RUN_DATE, silent=("nothing is modelled",)),
        GroupsRecorded(night=RUN_DATE, groups=2, alarms=("A grew",), problems=("no",)),
        ws.groups.history("Lapsed buyers"),
        *ws.groups.list(), *listed, ws.doctor(), ws.campaigns.message(shop, "000014"), ws.campaigns.test_send(shop),
        *records, *previews, figures, CampaignFigures(campaign="D", nights=of_variants),
        replace(night, templates=(news,), groups=("A grew",), confirmed=(arrived,), reach=(in_one_line(figures),),
                **finals),
        *(AllResults(results=some) for some in ((), results, results[:1], (untold,), (so_far,))),
        *results, noted, untold, replace(noted, sample_ratio_p=0.0), replace(results[0], final_unknown="it is gone"),
        replace(night, campaigns=(several, replace(several, accepted=3, pending=1)),
                confirmed=(replace(arrived, variant="Long", is_of_several=True),)),
        CampaignFigures(campaign="B", templates=(of_template,)), CampaignFigures(campaign="C"),
        *(CampaignPage(**msgspec.structs.asdict(one), figures=figures, redeemed=redeemed, comments=(said,))
          for one in records),
        redeemed, replace(redeemed, problem="no"), replace(redeemed, until=None), said,
        FiguresRead(series=1, days=14, restated=1, problems=("no",), notes=("later",)), FiguresRead(),
        *night.campaigns, Blocked(step="import", reason="no"),
        ws.status(), replace(ws.why("000014"), answers=(reason,)), Night(ws, RUN_DATE, dry_run=True),
        previews[0].waterfall,
        ws.preview("Lapsed buyers", app_group="Shop").reach,
        SendMove(campaign="A", run_date=f"{RUN_DATE}", before=NOW, send_at=NOW, moved=1, unmoved=1, unknown=1),
        Cancellation(campaign="A", comment="", nights=(Recall(campaign="A", run_date=f"{RUN_DATE}", recalled=1),)),
        Settlements(nights=(settled,), exit_code=0), AuditVerdict(entries=1, head="0", problem=None),
        *ws.reach_samples.take(),
        Recovered(dry_run=True, settled=(settled,)), stated,
        TemplateListing(templates=tuple(listed), news=(news,), stated=(stated,)),
        StatedTemplate(app_group="Shop", template=listed[0], stated=stated, follows=("'A' is held",)),
        ModelReport(run_date=RUN_DATE, warehouse_version=1, customers=1, stages={}, card=()),
        ws.offers.save(offer), *ws.codes.list(),
        ws.quarantine(), ws.customer_on("000014", RUN_DATE), ws.lists.save("Few", ["000014"]),
        ws.vendor_control.save("Shop", ["somebody"]),
        ws.programme(), *programmes(),
        ws.uplift(shop["name"]),
        PublishedScore(attribute="uplift of a", subject="A", meaning="Moves", made_on=RUN_DATE, author="Ann",
                       published_at=NOW, body="{}"),
        ws.campaigns.last_approval(ws.campaigns.preview(shop)), init_workspace(ws.root.parent / "new"),
    ]  # fmt: skip
    forgotten = ForgottenCustomer(person="0" * 64, rows={"customers": 1}, versions=1, files=1, quarantined=1, lists=1,
                                  audiences=1, rewritten=1, inbox=(), scheduled=("B",), named_in=("C",))  # fmt: skip
    made += [forgotten, *(replace(one, result=replace(one.result, changes=(change,))) for one in synced)]
    by_kind: dict[type, list[Any]] = {}
    for one in made:
        by_kind.setdefault(type(one), []).append(one)
    return by_kind


def programmes() -> list[Programme]:
    """The result of a programme with a campaign of each kind: told from luck, so far, and without a result."""
    effect = Effect(estimate=0.1, low=0.05, high=0.2, p=0.001, sample_ratio_p=0.5, mean=0.4, control_mean=0.3,
                    customers=900, control_customers=100)  # fmt: skip
    figures = dict.fromkeys(MEANS, effect)
    parts = (
        CampaignPart(campaign="A", customers=9, whole=ArmResult(arm="all", figures=figures), is_final=True, luck=0.01),
        CampaignPart(campaign="B", customers=9, whole=ArmResult(arm="all", figures=figures)),
        CampaignPart(campaign="C", problem="nobody was held out"),
    )
    whole = Programme(since=RUN_DATE, until=RUN_DATE, currency="EUR", version=1, computed_at=NOW, is_final=True,
                      share=0.1, customers={"programme": 900, "control": 100}, figures=figures, campaigns=parts,
                      received=1, merged=1)  # fmt: skip
    unlike = dict.fromkeys(MEANS, replace(effect, sample_ratio_p=0.0))
    none = dict.fromkeys(MEANS, replace(effect, low=-inf, high=inf))
    return [whole, replace(whole, figures=unlike), replace(whole, figures=none)]


def brought(low: float, high: float) -> CampaignResult:
    """What a campaign brought whose figures all lie between two differences."""
    effect = Effect(estimate=0.2, low=low, high=high, p=0.5, sample_ratio_p=0.5, mean=0.4, control_mean=0.2,
                    customers=90, control_customers=10)  # fmt: skip
    over = NOW.replace(tzinfo=None)
    steps = tuple(FunnelStep(step=step, customers=80, low=70, high=90, share=0.9) for step in get_args(FunnelStepName))
    arms = (ArmFunnel(arm="message", steps=steps), ArmFunnel(arm="control", steps=(FunnelStep(step="bought"),)))
    by_day = tuple(
        DayEffect(day=day, arm="message", figure=figure, estimate=0.2, low=low, high=high, customers=90,
                  control_customers=10)
        for day in (1, 7) for figure in DRAWN
    )  # fmt: skip
    return CampaignResult(
        campaign="A", currency="EUR", days=7, nights=(RUN_DATE,), measured_until=over, final_on=over,
        customers={"message": 90, "control": 10},
        arms=(ArmResult(arm="message", figures=dict.fromkeys(MEANS, effect)),),
        parts=(ResultPart(by="stage", part="active", bought=effect, spent=effect),),
        over_days=OverDays(days=7, rows=by_day), funnel=Funnel(arms=arms),
    )  # fmt: skip


def arguments(name: str, examples: dict[type, list[Any]]) -> list[tuple[Any, ...]]:
    """What a function that makes HTML is called with, as the types of its parameters say."""
    ws, records, previews = examples[Workspace][0], examples[CampaignRecord], examples[CampaignPreview]
    last, zone = examples[LastApproval][0], ws.settings.zone
    own: dict[str, Callable[[], list[tuple[Any, ...]]]] = {
        "distribution": lambda: [(examples[Distribution][0], "where they live", "The country.")],
        "bar": lambda: [(1, 2)],
        "finding": lambda: [(found, one) for found in examples[Discovery] for one in found],
        "message": lambda: [(one, 0) for one in previews],
        "audience": lambda: [(one, zone) for one in previews],
        "for_decision": lambda: [(records[0], one, last, one.power, zone) for one in previews],
        "stages_over_time": lambda: [(ws.history("stage"),)],
        "micro_segments": lambda: [(ws.micro_segments(),)],
        "optinb.night.steps.Night": lambda: [(examples[Night][0],)],
    }
    if name in own:
        return own[name]()
    (kind,) = taken_by(name)
    if name in ENTRIES and ENTRIES[name].many:
        return [(examples[kind],)]
    return [(one,) for one in examples[kind]]


def taken_by(name: str) -> tuple[Any, ...]:
    """The types of what makes HTML: of the value, or of the parameters of a piece."""
    return (type_of(name),) if name in ENTRIES else parameters(SHOWN[name])


def drive(show_it: Callable[..., str], arguments: list[tuple[Any, ...]], kinds: tuple[Any, ...]) -> None:
    """Shows everything, then each with each member of each set that `kinds` are made of, and misses none."""
    seen: set[Place] = set()
    for given in arguments:
        assert show_it(*given)
        for changed, place, member in variants(given):
            seen.add(place)
            try:
                assert show_it(*changed), (place, member)
            except Exception as error:
                error.add_note(f"{place.owner.__name__}.{place.field} was {member!r}")
                raise
    missed = set().union(*(places_of(kind, but=ELSEWHERE) for kind in kinds)) - seen
    assert not missed, "no example holds these"


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_a_notebook_shows_is_shown_in_every_state(name: str, examples: dict[type, list[Any]]) -> None:
    drive(SHOWN[name], arguments(name, examples), taken_by(name))


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_command_says_is_said_in_every_state(name: str, examples: dict[type, list[Any]]) -> None:
    kind = type_of(name)
    drive(show.text, [(one,) for one in examples[kind]], (kind,))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_type_that_is_shown_is_found_under_its_name_and_is_what_its_functions_take(name: str) -> None:
    kind, entry = type_of(name), ENTRIES[name]
    assert find(kind) == entry
    if entry.text is not fields:
        (hint,) = parameters(entry.text)
        assert (get_origin(hint) or hint) is kind


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_shown_by_a_module_that_has_entries_of_it(room: str) -> None:
    assert any(entry.kind.startswith(f"optinb.{room}.") for entry in entries(room))


def test_every_function_that_a_room_is_shown_by_is_driven() -> None:
    driven = {entry.text for entry in ENTRIES.values()} | set(PIECES)
    for room in set(ROOMS.values()):
        module = import_module(f"optinb.show.{room}")
        own = {f for n, f in vars(module).items() if isfunction(f) and f.__module__ == module.__name__ and n[0] != "_"}
        assert {f.__name__ for f in own - driven} <= {"folded"}, "neither registered nor a piece"


def type_of(name: str) -> type:
    """The type that an entry names."""
    module, _, kind = name.rpartition(".")
    return getattr(import_module(module), kind)


@pytest.mark.parametrize("code", Exit)
def test_a_night_is_shown_however_it_ended(code: Exit, examples: dict[type, list[Any]]) -> None:
    ended = replace(examples[NightSummary][0], exit_code=int(code))
    for shown in (show.html, show.text, report):
        drive(shown, [(ended,)], (NightSummary,))


def report(summary: NightSummary) -> str:
    return render_report(summary, currency="EUR")


def test_a_waterfall_names_every_reason_in_the_order_in_which_they_are_examined(
    examples: dict[type, list[Any]],
) -> None:
    figures = Waterfall(target=len(REASONS) + 2, excluded=dict.fromkeys(REASONS, 1), control=1, recipients=1)
    excluded = {**figures.excluded, "held": 0}
    summary = replace(examples[CampaignSummary][0], **{**msgspec.structs.asdict(figures), "excluded": excluded})
    night = replace(examples[NightSummary][0], campaigns=(summary,))
    texts = [
        text_of(show.html(figures)),
        text_of(show.html((summary,))),
        text_of(render_report(night, currency="EUR")),
        show.text(night),
        str(figures.steps()),
    ]
    for text in texts:
        places = [text.index(said) for said in REASONS.values()]
        assert places == sorted(places)
    assert TAKEN["held"] in texts[1]


def test_what_became_of_a_recipient_has_words_for_every_state_and_verdict() -> None:
    assert set(DELIVERIES) == {*get_args(StateName), "recalled"}
    assert set(SETTLED) == set(get_args(Said))
    assert set(ARRIVALS) == set(get_args(ArrivalStatus)) and set(LOSSES) == {*LIKELY_FILTERS, UNTOLD}
    assert set(OUTCOMES) == {*get_args(Outcome), *REASONS} - {"excluded"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (pages.CAMPAIGNS, CampaignState),
        (pages.GOING, CampaignState),
        (pages.STEPS, Step),
        (pages.STAGES, Stage),
        (pages.STANDINGS, Standing),
        (pages.DEVICES, Platform),
        (ADVICE, Advice),
        ({"planned": "", "sending": "", **pages.OUTCOMES}, StateName),
    ],
)
def test_the_words_of_a_closed_set_are_those_of_its_type(words: dict[str, Any], kind: Any) -> None:
    assert tuple(words) == members_of(kind)


def test_no_template_keeps_a_closed_set_of_its_own() -> None:
    """What is looked up by a state in a template must not stand in the template: nobody would see that one is new."""
    folder = Path(show.__file__).parent / "templates"
    for template in [*folder.glob("*.j2"), *(folder.parents[1] / "measure" / "templates").glob("*.j2")]:
        assert not re.search(r"\{%\s*set[^%]*=\s*\{", template.read_text(encoding="utf-8")), template.name


def test_sends_are_shown_at_every_stage(used: Workspace) -> None:
    night = watch(used.context, used.store, RUN_DATE)
    send = night.sends[0]
    whole = replace(send, counts=replace(send.counts, accepted=send.audience.recipients, pending=0))
    to_come = replace(send.counts, accepted=0, pending=send.audience.recipients)
    found = {
        one.stage: one
        for one in (
            whole,
            replace(whole, counts=to_come),
            replace(whole, counts=replace(to_come, pending=1)),
            replace(whole, audience=replace(send.audience, cancelled="wrong code")),
        )
    }
    assert set(found) == set(get_args(Stage))
    for one in found.values():
        drive(lambda shown: sent_and_monitored(used, shown), [(replace(night, sends=(one,)),)], (type(night),))
        for state in set(get_args(StateName)) - {"planned", "sending"}:
            counts = replace(to_come, pending=0, **{state: send.audience.recipients})
            shown = sent_and_monitored(used, replace(night, sends=(replace(one, counts=counts),)))
            assert f"{send.audience.recipients:,}" in text_of(shown)


def sent_and_monitored(ws: Workspace, night: NightSends) -> str:
    """A night's sends as `views.sent` and `views.monitor` show them."""
    rates = dict.fromkeys((send.audience.campaign_id for send in night.sends), 2.0)
    groups = {group.id: group.name for group in ws.settings.app_groups}
    table = pages.page("sent.html.j2", nights=[night], groups=groups, counted={}, zone=ws.settings.zone)
    return table + pages.fragment("monitor.html.j2", "monitor", night, rates, ws.settings.zone)


@pytest.mark.parametrize("step", get_args(Step))
def test_what_somebody_else_did_to_a_draft_is_told_whatever_it_was(step: str, used: Workspace) -> None:
    change = CampaignChange(record=used.campaigns.list()[0], action=step, changed_by="ann", changed_at=NOW)
    assert f"ann {pages.STEPS[step]} this" in text_of(
        pages.fragment("keeping.html.j2", "changed", change, False, used.settings.zone, True)
    )


@pytest.mark.parametrize("name", sorted(set(views.__all__) - {"install", "page"}))
def test_every_view_opens_on_a_workspace_with_a_campaign_in_each_state(name: str, used: Workspace) -> None:
    shown = getattr(views, name)(used)
    if name == "campaigns":
        text = text_of(shown.data)
        assert all(f"Is {state} by {AUTHOR} {state} so it is {state}" in text for state in get_args(CampaignState))


@pytest.mark.parametrize("state", get_args(CampaignState))
def test_the_planner_opens_a_campaign_in_each_state(state: CampaignState, used: Workspace) -> None:
    planner = views.planner(used)
    planner.keeper.go_on(used.campaigns.get(f"Is {state}"))
    assert state in text_of(planner.keeper.state.value)


@pytest.mark.parametrize("state", get_args(CampaignState))
def test_a_campaign_goes_into_the_calendar_in_each_state(state: CampaignState, used: Workspace) -> None:
    record = replace(used.campaigns.get("Is running"), state=state)
    going = [one for one in used.campaigns.calendar(days=7, waiting=True) if one.campaign_id == record.id]
    weeks = weeks_of(going, today=RUN_DATE, weeks=1)
    shown = pages.fragment("calendar.html.j2", "calendar", weeks, {record.id: record}, RUN_DATE, used.settings.zone)
    assert f"Is running{f' {pages.GOING[state][0]}' if pages.GOING[state][0] else ''}" in text_of(shown)


@pytest.mark.parametrize("command", ["campaigns list", "campaigns calendar", "status", "groups list"])
def test_commands_list_a_workspace_with_a_campaign_in_each_state(command: str, used: Workspace) -> None:
    for options in ([], ["--json"]):
        done = CliRunner().invoke(main, [*command.split(), "--workspace", str(used.root), *options])
        assert done.exit_code == Exit.DONE, done.output
        if command.startswith("campaigns l"):
            assert all(f"so it is {state}" in done.output for state in get_args(CampaignState))


@pytest.mark.parametrize("name", sorted(set(views.__all__) - {"install", "page"}))
def test_every_view_opens_on_a_workspace_in_which_nothing_is_yet(name: str, empty: Workspace) -> None:
    assert getattr(views, name)(empty) is not None


def test_the_planner_shows_every_kind_of_campaign_and_reads_the_same_back(
    used: Workspace, examples: dict[type, list[Any]]
) -> None:
    planner, record = views.planner(used), used.campaigns.get("Is draft")
    planned = [preview.campaign for preview in examples[CampaignPreview]]
    for campaign in [*planned, *(changed for changed, _, _ in variants(planned[0]))]:
        planner._load(replace(record, campaign=campaign))
        assert used.campaigns.read(planner.fields()) == campaign
