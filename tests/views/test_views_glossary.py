"""Words of the field have one meaning each, which a page shows to whoever asks."""

from __future__ import annotations

import pytest
from page_text import text_of

from optinb.show.customers import figures
from optinb.show.glossary import GLOSSARY, term


def test_each_word_has_one_plain_sentence():
    assert all(meaning.endswith(".") and ". " not in meaning for meaning in GLOSSARY.values())
    assert all(len(meaning) <= 130 for meaning in GLOSSARY.values())
    assert list(GLOSSARY) == sorted(GLOSSARY) and all(word == word.strip() for word in GLOSSARY)
    needed = {"control group", "exclusion period", "measurement window", "app group", "template", "micro-segment"}
    assert needed | {"future value", "reachable", "dispatch"} <= set(GLOSSARY)


def test_a_word_is_reached_by_keyboard_and_described():
    shown = term("control group", "held <out>")
    assert shown.startswith('<dfn class="ob-term" tabindex="0" aria-description="Customers of the target group')
    assert text_of(shown) == "held <out>" and "<out>" not in shown
    with pytest.raises(KeyError):
        term("contrl group")


def test_figures_explain_whom_a_push_reaches(ws):
    shown = figures(ws.preview("Lapsed buyers"))
    assert 'aria-description="Uses an app' in shown and ">reachable</dfn>" in shown
