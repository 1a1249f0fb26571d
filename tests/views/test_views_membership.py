from __future__ import annotations

import re
from datetime import date

from optinb import show
from optinb.segments import Membership, PartVerdict


def shown(tree: PartVerdict | None) -> str:
    found = Membership(
        customer_id="<000001>",
        sentence="the country is DE & more",
        is_member=tree is not None and tree.holds,
        run_date=date(2026, 11, 23),
        warehouse_version=1,
        tree=tree,
    )
    return show.html(found)


def test_every_part_of_the_rule_stands_nested_with_its_mark_and_what_was_found() -> None:
    leaf = PartVerdict(part="leaf", text="bought", holds=True, found="3 times")
    tree = PartVerdict(
        part="all",
        text="all of these",
        holds=False,
        parts=(
            PartVerdict(part="leaf", text="the country is DE", holds=True, found="<b>DE</b>"),
            PartVerdict(part="not", text="not this", holds=False, parts=(leaf,)),
        ),
    )
    html = shown(tree)
    assert re.findall(r'aria-label="(true|false)"', html) == ["false", "true", "false", "true"]
    assert html.count('<ul class="ob-why">') == html.count("</ul>") == 3
    assert "found: &lt;b&gt;DE&lt;/b&gt;" in html
    assert "found: 3 times" in html
    assert "Customer &lt;000001&gt; doesn’t belong" in html
    assert "is DE &amp; more" in html


def test_somebody_who_is_no_customer_has_no_parts() -> None:
    html = shown(None)
    assert "doesn’t know this customer" in html
    assert "aria-label" not in html
