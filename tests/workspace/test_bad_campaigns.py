"""What a marketer may get wrong: refused when it's submitted, with what to do instead, and nothing is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import optinb
from optinb.demo import AUTHOR, CAMPAIGNS
from optinb.errors import CampaignError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from optinb.workspace import Workspace

SUMMER = CAMPAIGNS[0]
DAILY = {"every": "day", "at": "18:30"}


def properties(**changed: Any) -> dict[str, Any]:
    return {"properties": {**SUMMER["properties"], **changed}}


def refused(ws: Workspace, fields: dict[str, Any], complaint: str) -> str:
    before = ws.store.audit.list(limit=1)
    with pytest.raises(CampaignError, match=complaint) as caught:
        ws.campaigns.submit({**SUMMER, **fields})
    assert ws.campaigns.list() == ()
    assert ws.store.audit.list(limit=1) == before
    return str(caught.value)


HUGE = properties(**{f"text_{n}": {"value": "x" * 3_990} for n in range(13)})
WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"template": "Optimove_Club_Android"}, r"isn't known|isn't one of|no template"),
    ({"group": "Lapsd buyers"}, "did you mean 'Lapsed buyers'"),
    ({"control": 1.0}, "at least 0 and less than 1, such as 0.1 for ten percent"),
    ({"control": -0.1}, "at least 0 and less than 1"),
    (
        {"schedule": {"date": "2026-11-22", "at": "18:30"}},
        "2026-11-22 18:30 has passed .* later one",
    ),
    ({"schedule": {"date": "2027-11-22", "at": "18:30"}}, "more than 90 days ahead; choose an earlier date"),
    ({"schedule": {**DAILY, "end": "2026-11-01"}}, "ended on 2026-11-01, and today is 2026-11-23; choose a later"),
    ({"schedule": {**DAILY, "at": "25:00"}}, 'written as "HH:MM", such as "18:30"'),
    ({"schedule": {**DAILY, "clock": "lokal"}}, "write one of 'workspace', 'local', 'optimal'"),
    ({"schedule": {**DAILY, "zone": "Mars/Olympus"}}, "'zone' is no field here"),
    (properties(promo_code={"value": "x" * 2_000_000}), "2,000,000 characters; a push message holds at most 4,000"),
    (HUGE, r"properties of [\d,]+ recipients are too large: up to 5\d,\d+ bytes, and Appboy takes 50,000 in a request"),
    (properties(first_name={"attribute": "first_nam", "default": "x"}), "did you mean 'first_name'"),
    (properties(promo_code={"offer": "code"}), 'add codes = "NAME OF A POOL" under'),
    ({"properties": {}}, "needs the property .* which the campaign doesn't give; add it under"),
    ({"name": " "}, "must be printable"),
    ({"channel": "E-mail"}, "there is 'Appboy Push'"),
)


def test_what_can_not_go_out_is_refused_at_submission_with_the_remedy(ws: Workspace) -> None:
    for fields, complaint in WRONG:
        assert len(refused(ws, fields, complaint)) < 1_000


def test_a_message_that_no_request_can_hold_has_no_preview(ws: Workspace) -> None:
    with pytest.raises(CampaignError, match="are too large"):
        ws.campaigns.preview({**SUMMER, **HUGE})
    assert ws.campaigns.preview(SUMMER).waterfall.recipients > 0


def test_a_template_of_another_app_group_names_those_of_the_chosen_one(ws: Workspace) -> None:
    (other,) = [t for t in ws.templates.list("Club") if t.usable][:1]
    refused(ws, {"template": other.name}, f"{other.name}.*isn't")
    refused(ws, {"template": other.id}, "isn't")


def test_an_app_group_without_apps_on_the_platform_of_the_template_is_refused(ws: Workspace, folder: Path) -> None:
    settings = folder / "optinb.toml"
    text = settings.read_text()
    assert text.count('platform = "ios"') >= 1
    settings.write_text(text.replace('platform = "ios"', 'platform = "kindle"'))
    with optinb.open_workspace(folder, user=AUTHOR) as without:
        refused(without, {}, r"template 'Optimove_SummerSale_iOS' can't be used: .*ios")


def test_an_attribute_that_some_lack_needs_a_default_or_an_exclusion(ws: Workspace) -> None:
    ws.groups.save("Everybody", 'attr("country") == "DE"')
    fields = {"group": "Everybody", **properties(first_name={"attribute": "gender"})}
    refused(ws, fields, "customers of the target group have no value for 'first_name' .*give it a default, or exclude_")
    chosen = {**fields, **properties(first_name={"attribute": "gender", "default": "you"})}
    assert ws.campaigns.submit({**SUMMER, **chosen}).state == "submitted"


@pytest.mark.parametrize(
    ("clock", "at", "complaint"),
    [
        (
            "local",
            "22:15",
            "22:15 of each customer's own clock lies in the quiet hours, 21:00 to 08:00; choose",
        ),
        ("optimal", "18:30", 'nobody can promise that it keeps the quiet hours, .*; choose clock = "local", or take'),
    ],
)
def test_a_time_that_breaks_the_quiet_hours_is_refused(
    ws: Workspace, folder: Path, clock: str, at: str, complaint: str
) -> None:
    settings = folder / "optinb.toml"
    hours = '[policy]\nquiet_from = "21:00"\nquiet_until = "08:00"\n'
    settings.write_text(settings.read_text().replace("[policy]\n", hours))
    with optinb.open_workspace(folder, user=AUTHOR) as quiet:
        refused(quiet, {"schedule": {**DAILY, "clock": clock, "at": at}}, complaint)
        assert quiet.campaigns.submit({**SUMMER, "schedule": {**DAILY, "clock": "local"}})


def test_a_workspace_in_an_unknown_zone_is_not_opened(folder: Path) -> None:
    settings = folder / "optinb.toml"
    settings.write_text(settings.read_text().replace("Europe/Berlin", "Europe/Nowhere"))
    with pytest.raises(SettingsError, match="'Europe/Nowhere' is no time zone; write an IANA name such as"):
        optinb.open_workspace(folder, user=AUTHOR)


def test_a_code_file_with_duplicates_is_refused_with_its_lines(ws: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "codes.txt"
    file.write_text("A-1\nB-2\nA-1\n")
    with pytest.raises(CampaignError, match="line 3 has a code that stands in an earlier line too"):
        ws.codes.add("Summer", file)
    assert ws.codes.list() == ()
