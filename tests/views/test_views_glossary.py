"""Words of the field have one meaning each, which every page gives where it uses the word first."""

from __future__ import annotations

import ipywidgets as w
import pytest
from page_text import text_of

from optinb import show
from optinb.base.glossary import ALSO_CALLED, GLOSSARY, explained
from optinb.campaigns import Waterfall
from optinb.show.customers import figures
from optinb.views.controls import field


def test_each_word_has_one_plain_sentence():
    assert all(meaning.endswith(".") and ". " not in meaning for meaning in GLOSSARY.values())
    assert all(len(meaning) <= 130 for meaning in GLOSSARY.values())
    assert list(GLOSSARY) == sorted(GLOSSARY) and all(word == word.strip() for word in GLOSSARY)
    needed = {"control group", "exclusion period", "measurement window", "app group", "template", "micro-segment"}
    assert needed | {"future value", "reachable", "dispatch"} <= set(GLOSSARY)
    assert set(ALSO_CALLED.values()) <= set(GLOSSARY) and not set(ALSO_CALLED) & set(GLOSSARY)


def test_a_word_is_reached_by_keyboard_and_described_where_a_block_has_it_first():
    shown = explained("<dl><dt>Control group</dt><dd>held <b>out</b></dd></dl><th data-terms>the control groups</th>")
    assert shown.startswith('<dl><dt><dfn class="ob-term" tabindex="0" aria-description="Customers of the target group')
    assert text_of(shown) == "Control group held out the control groups" and shown.count("<dfn") == 1
    assert explained("<dt>Offers</dt>") != "<dt>Offers</dt>"


@pytest.mark.parametrize(
    "written",
    [
        "<p>An offer</p>",
        "<h3>Offer of a campaign</h3>",
        '<dt translate="no">offer</dt>',
        '<th scope="row">Offer</th>',
        '<dt>an <a title="offer">exchange</a></dt>',
        "<dt>micro-segmented</dt>",
    ],
)
def test_what_people_write_and_what_only_looks_like_a_word_stays_as_it_is(written):
    assert explained(written) == written


def test_figures_explain_whom_a_push_reaches(ws):
    shown = figures(ws.preview("Lapsed buyers"))
    assert 'aria-description="Uses an app' in shown and ">reachable</dfn>" in shown
    assert ">run date</dfn>" in shown and shown.count(">Target group</dfn>") + shown.count(">target group</dfn>") == 1


def test_a_waterfall_explains_its_steps_wherever_it_stands():
    shown = show.html(Waterfall(target=9, excluded={}, control=1, recipients=8))
    assert "control group</dfn>" in shown and "Target group</dfn>" in shown


def test_a_control_tells_what_its_label_means():
    assert field(w.Dropdown, "Target group").tooltip == GLOSSARY["target group"]
    assert field(w.Text, "Name").tooltip is None
