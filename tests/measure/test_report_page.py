from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from page_text import text_of

from optinb.campaigns import Waterfall
from optinb.errors import Exit
from optinb.measure import FinalCard, FinalNote, Measuring, NotedFigure
from optinb.measure.pages import steps
from optinb.measure.report import needs_a_person, render_report, verdict
from optinb.measure.summary import CampaignSummary, NightSummary, TableCounts

SENT = CampaignSummary(
    name="Summer <lapsed>",
    app_group="Shop",
    template="Optimove_SummerSale_iOS",
    target=12_500,
    excluded={"no_app": 4_000, "push_off": 1_500},
    control=700,
    recipients=6_300,
    batches=126,
    accepted=6_300,
    send_at=datetime(2026, 11, 23, 17, 30, tzinfo=UTC),
)
HELD = CampaignSummary(
    name="Club night",
    app_group="Club",
    template="Optimove_ClubNight_Android",
    target=300,
    excluded={"no_app": 100, "held": 200},
    held="changed since pat approved it: schedule; approve it again",
)


def night(**changes) -> NightSummary:
    fields = {
        "run_date": date(2026, 11, 23),
        "dry_run": False,
        "started_at": datetime(2026, 11, 23, 2, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 11, 23, 2, 0, 42, tzinfo=UTC),
        "warehouse_version": 42,
        "imported": {
            "customers": TableCounts(read=20_003, loaded=20_000, quarantined=3, reasons={"unparsable time": 3})
        },
        "customers": 20_000,
        "stages": {"new": 2_000, "active": 8_000, "churned": 10_000},
        "campaigns": (SENT, HELD),
        "problems": (),
        "warnings": ("2 customers have a time zone that isn't known",),
        "exit_code": Exit.CAMPAIGN_HELD,
        "notebook": "runs/2026-11-23/nightly_send.ipynb",
        "report": None,
        "model": ("BG/NBD fitted on 9,000 buyers.", "It beats both naive guesses."),
    }
    return NightSummary(**(fields | changes))


def test_report_says_what_went_out_to_whom_and_when():
    text = text_of(render_report(night(), currency="EUR", zone=ZoneInfo("Europe/Berlin")))
    assert "Night of Mon 23 Nov 2026" in text
    assert "Mon 23 Nov 2026, 18:30 (Europe/Berlin)" in text
    assert "Target group 12,500" in text
    assert "does not use these apps 4,000 8,500" in text
    assert "is held out in the control group 700 6,300" in text
    assert "Get the message 6,300" in text
    assert "6,300 accepted by Appboy" in text


def test_report_puts_what_needs_a_person_before_what_went_out():
    text = text_of(render_report(night(), currency="EUR"))
    held = text.index("changed since pat approved it: schedule; approve it again")
    assert text.index("Needs a person") < held < text.index("What went out")


def test_report_without_anything_to_do_has_no_such_section():
    page = render_report(night(campaigns=(SENT,), exit_code=Exit.DONE), currency="EUR")
    assert "Needs a person" not in page
    assert "Everything that was due is done." in page


def test_report_shows_data_quality_stages_and_models():
    text = text_of(render_report(night(), currency="EUR"))
    assert "customers 20,003 20,000 3 3 × unparsable time" in text
    assert "2 customers have a time zone that isn't known" in text
    assert "active 8,000 40.0%" in text
    assert "It beats both naive guesses." in text


def test_report_shows_the_health_of_the_models_with_plots_that_need_no_network(ws):
    model = ws.model()
    page = render_report(night(), currency="EUR", model=model)
    text = text_of(page)
    assert "Health of the models" in text and "published" in text
    assert re.search(r"Pauses between purchases, with the \d+ days after which a customer counts as churned", page)
    assert "Pauses between purchases" in text and re.search(r"churned after \d+ days", text)
    assert "How often a churn risk came true, by what was forecast" in text
    assert page.count("<svg") == 1 + sum(bool(risk.bins) for risk in model.card.risks) > 1
    drawn = page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace('xlink="http://www.w3.org/1999/xlink"', "")
    loads = r"https?:|url\(|@import|<link|<script|\ssrc="
    assert not re.search(loads, drawn.replace("xmlns:", ""), flags=re.IGNORECASE)


def test_report_escapes_what_people_and_files_wrote():
    page = render_report(night(problems=("<script>alert(1)</script>",)), currency="EUR")
    assert "<script" not in page
    assert "Summer &lt;lapsed&gt;" in page


def test_report_asks_nothing_of_any_network_and_runs_no_script():
    page = render_report(night(), currency="EUR")
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<link|<script|\ssrc=", page, flags=re.IGNORECASE)


def test_report_of_a_dry_run_says_so():
    dry = CampaignSummary(name="A", app_group="Shop", template="T", target=10, recipients=10, pending=10)
    text = text_of(render_report(night(dry_run=True, campaigns=(dry,), exit_code=Exit.DONE), currency="EUR"))
    assert "Dry run of Mon 23 Nov 2026" in text
    assert "not sent: dry run" in text
    assert "Needs a person" not in text


def test_report_of_a_blocked_night_without_data_is_still_a_page():
    blocked = night(
        campaigns=(),
        imported={},
        stages={},
        customers=0,
        warehouse_version=None,
        warnings=(),
        model=(),
        problems=("customers shrank by 40 % (limit 30 %)",),
        exit_code=Exit.DATA_BLOCKED,
    )
    text = text_of(render_report(blocked, currency="EUR"))
    assert "customers shrank by 40 % (limit 30 %)" in text
    assert "No campaign was due." in text
    assert "No delivery was imported." in text


def test_messages_that_were_not_taken_are_left_to_a_person():
    rough = CampaignSummary(
        name="Rough",
        app_group="Shop",
        template="T",
        target=100,
        recipients=100,
        accepted=50,
        refused=20,
        unknown=15,
        expired=10,
        pending=5,
    )
    texts = " / ".join(todo.text for todo in needs_a_person(night(campaigns=(rough,))))
    assert "refused 20 messages" in texts
    assert "10 messages came too late" in texts


def test_figures_that_do_not_add_up_are_named():
    wrong = CampaignSummary(name="Wrong", app_group="Shop", template="T", target=5, recipients=4, accepted=4)
    assert "don't add up" in needs_a_person(night(campaigns=(wrong,)))[0].text


@pytest.mark.parametrize("code", list(Exit))
def test_every_exit_code_has_a_verdict_of_its_own_words(code: Exit):
    assert verdict(code).sentence.endswith(".")


def test_steps_keep_every_customer():
    rows = steps(Waterfall(target=100, excluded={"no_app": 30, "blocked": 5}, control=6, recipients=59))
    assert [row.left for row in rows] == [100, 70, 65, 59, 59]
    assert sum(row.taken for row in rows) == 41


def test_steps_of_an_empty_group_have_no_width():
    nobody = Waterfall(target=0, excluded={}, control=0, recipients=0)
    assert all(row.left_percent == 0 for row in steps(nobody))


def test_report_shows_what_became_final_with_its_interval_and_what_still_measures_in_one_line():
    def figure(low: float | None, high: float) -> NotedFigure:
        return NotedFigure(estimate=0.04, low=low, high=high, p=0.01, mean=0.3, control_mean=0.26)

    figures = {"response": figure(0.012, 0.07), "spend": figure(None, 3.0)}
    note = FinalNote(night=date(2026, 12, 8), noted_at=datetime(2026, 12, 8, 2, tzinfo=UTC), version=7, days=14,
                     nights=(date(2026, 11, 23),), final_on=datetime(2026, 12, 7), currency="EUR",  # noqa: DTZ001
                     customers={"message": 9_000, "control": 1_000}, arms={"message": figures},
                     sample_ratio_p=0.9)  # fmt: skip
    measuring = Measuring(campaign="Winter", until=datetime(2026, 12, 20, 17, 30, tzinfo=UTC))
    cards = (
        FinalCard(campaign="Summer <lapsed>", note=note),
        FinalCard(campaign="Daily", note=note, is_one_of_several=True),
    )
    page = render_report(night(results=cards, measuring=(measuring,)), currency="EUR", zone=ZoneInfo("Europe/Berlin"))
    text = text_of(page)
    assert "Summer <lapsed> Keep it 360 buyers more (108 to 630) and 360.00 EUR more (at most 27,000.00 more)" in text
    assert "+4.0 points between 1.2 and 7.0 30.0% with it, 26.0% without" in text
    assert "9,000 customers who were to get it against 1,000 held out" in text
    assert "Daily night of Mon 23 Nov 2026 Keep it" in text
    assert "Still measuring: Winter (until Sun 20 Dec 2026, 18:30 (Europe/Berlin))." in text
    assert page.count('class="ob-span ob-good"') == 2  # those that the advice goes by
    again = msgspec.json.decode(msgspec.json.encode(night(results=cards)), type=NightSummary)
    assert again.results == cards
    assert "What campaigns brought" not in render_report(night(), currency="EUR")
