"""Profile and overlap of groups on a workspace, as values and as notebooks show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from optinb import attr, did, show
from optinb.errors import RuleError, UsageError

if TYPE_CHECKING:
    from optinb.workspace import Workspace


def test_a_profile_counts_the_members_and_shows_what_differs(ws: Workspace) -> None:
    rule = (attr("country") == "DE") & did("purchase").within(days=90)
    found = ws.profile(rule)
    members = ws.members(rule)
    assert found.inside == members.height
    assert found.outside == ws.customers().collect().height - members.height
    country = next(d for d in found.differences if d.attribute == "country")
    assert country.is_asked
    assert [(b.low, b.inside) for b in country.bands if b.inside] == [("DE", members.height)]
    html = show.html(found)
    assert f"{found.inside:,}" in html
    _, left_out = html.split("<details")[-1].split("</summary>")
    assert country.label in left_out, "what the rule says is no news"
    assert "nothing to compare" in show.html(ws.profile(attr("country") == "XX"))


def test_an_overlap_agrees_with_the_members_of_each_combination(ws: Workspace) -> None:
    ws.groups.save("Germans", attr("country") == "DE")
    buyers = did("purchase").within(days=90)
    found = ws.overlap({"Germans": "Germans", "buyers": buyers})
    assert found.sizes["Germans"] == ws.groups.count("Germans").customers
    assert found.both("Germans", "buyers") == ws.members((attr("country") == "DE") & buyers).height
    html = show.html(found)
    assert "<svg" in html and "none of them" in html
    assert ws.overlap(["Germans", "Germans "]).both("Germans", "Germans ") == found.sizes["Germans"]


def test_groups_that_cant_be_compared_are_refused(ws: Workspace) -> None:
    ws.groups.save("Germans", attr("country") == "DE")
    with pytest.raises(UsageError, match="give several groups"):
        ws.overlap("Germans")
    with pytest.raises(UsageError, match="1 groups can't be compared; give 2 to 12"):
        ws.overlap(["Germans"])
    with pytest.raises(UsageError, match="no name for a group"):
        ws.overlap([attr("country") == "DE", attr("country") == "AT"])  # type: ignore[list-item]
    with pytest.raises(RuleError, match="Germans"):
        ws.overlap(["Germans", "Germens"])
