"""Liquid in Appboy's form."""

from __future__ import annotations

import pytest

from optinb.appboy import Needed
from optinb.appboy.liquid import AbortedMessage, needed, problem, rendered, rewritten

P = "api_trigger_properties"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Hi {{{{{P}.${{name}}}}}}!", "Hi Ann!"),
        (f"Hi {{{{ {P}.${{name}} }}}}!", "Hi Ann!"),
        (f"Hi {{{{{P}.${{ name }}|upcase}}}}!", "Hi ANN!"),
        (f"Hi {{{{{P}.${{missing}} | default: 'there'}}}}!", "Hi there!"),
        (f"Hi {{{{{P}.${{missing}}}}}}!", "Hi !"),
        (f"{{{{{P}.${{first name}}}}}}", "Ann Lee"),
        (f"{{{{{P}.${{address}}.city}}}}", "Bonn"),
        (f"{{% if {P}.${{name}} == 'Ann' %}}yes{{% else %}}no{{% endif %}}", "yes"),
        ("{{${first_name}}} of {{custom_attribute.${Home Town}}}", "‹first_name› of ‹Home Town›"),
        ("{{content_blocks.${footer}}}", "‹footer›"),
        ("5 ${left} and {literal}", "5 ${left} and {literal}"),
        ("{% connected_content https://x.example :save w %}now{{w.text}}", "now"),
        (f"{{{{ {P}.${{name}} | some_filter_of_appboy: 3 }}}}", "Ann"),
        ("Grüße, 你好 🎉", "Grüße, 你好 🎉"),
        ("", ""),
    ],
)
def test_texts_read_as_a_customer_reads_them(text: str, expected: str) -> None:
    assert problem(text) is None
    assert rendered(text, {"name": "Ann", "first name": "Ann Lee", "address": {"city": "Bonn"}}) == expected


def test_a_property_is_text_and_never_read_as_liquid_itself() -> None:
    assert rendered(f"{{{{{P}.${{name}}}}}}", {"name": "{{ 1 | plus: 1 }}"}) == "{{ 1 | plus: 1 }}"


@pytest.mark.parametrize(
    "text",
    ["{{ a", "{% if x %}", "{% bogus %}", f"{{{{{P}.${{x}}}}", "{{ {{ }} }}", f"{{{{ {P}. }}}}", "{% endif %}"],
)
def test_bad_liquid_is_told_in_one_line(text: str) -> None:
    told = problem(text)
    assert told
    assert "\n" not in told
    assert needed(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{{{{{P}.${{a}}}}}} {{{{{P}.${{b}} | default: 'x'}}}}", [("a", False), ("b", True)]),
        (f"{{{{{P}.${{a}} | default: 'x'}}}} {{{{{P}.${{a}}}}}}", [("a", False)]),
        (f"{{{{{P}.${{a}} | upcase | default: 'x'}}}}", [("a", True)]),
        (f"{{% if {P}.${{a}} %}}{{{{{P}.${{b}}}}}}{{% endif %}}", [("a", True), ("b", False)]),
        (f"{{% assign x = {P}.${{a}} %}}{{{{x}}}}", [("a", False)]),
        (f"{{% assign x = {P}.${{a}} %}}{{{{x | default: 'y'}}}}", [("a", True)]),
        (f"{{% assign x = {P}.${{a}} %}}{{% if x == blank %}}you{{% else %}}{{{{x}}}}{{% endif %}}", [("a", True)]),
        (f"{{% if {P}.${{a}} != blank %}}Hi {{{{{P}.${{a}}}}}}{{% else %}}Hi{{% endif %}}", [("a", True)]),
        (f"{{% if {P}.${{a}} %}}{{{{{P}.${{a}}}}}}{{% endif %}} {{{{{P}.${{a}}}}}}", [("a", False)]),
        (f"{{% for x in {P}.${{list}} %}}{{{{x}}}}{{% endfor %}}", [("list", False)]),
        (f"{{{{ 'x' | append: {P}.${{a}} }}}}", [("a", False)]),
        (f"{{{{ {P}.a }}}}", [("a", False)]),
        ("{{${first_name}}}", []),
        ("plain", []),
    ],
)
def test_needed_properties_and_whether_the_text_does_without(text: str, expected: list[tuple[str, bool]]) -> None:
    assert list(needed(text)) == [Needed(name, has_default) for name, has_default in expected]


def test_a_text_may_keep_itself_from_a_customer() -> None:
    text = f"{{% if {P}.${{vip}} %}}Hi{{% else %}}{{% abort_message('not vip') %}}{{% endif %}}"
    assert rendered(text, {"vip": True}) == "Hi"
    with pytest.raises(AbortedMessage):
        rendered(text, {})


def test_only_what_stands_in_tags_is_rewritten() -> None:
    assert rewritten("${a} {{x.${b}}} ${c}") == "${a} {{x['b']}} ${c}"
    assert rewritten("{{x.${it's}}}") == '{{x["it\'s"]}}'
