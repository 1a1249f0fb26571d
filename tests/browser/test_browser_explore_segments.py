"""An analyst in JupyterLab: builds a rule and sees it counted, discovers a group, saves both, and finds them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from accessibility import faults

from optinb import attr, did
from optinb.base.share import shared
from optinb.demo import AUTHOR, RUN_DATE
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(280)]

MINE, FOUND = "Germans who buy and opted in", "Discovered, valuable"
NOTEBOOK = "explore_segments.ipynb"
RESTART = """async () => {
  const { sessionContext } = window.jupyterapp.shell.currentWidget;
  await sessionContext.restartKernel();
  await sessionContext.session.kernel.info;
  await window.jupyterapp.commands.execute("notebook:run-all-cells");
}"""


@pytest.fixture
def notebooks(tmp_path: Path, folder: Path) -> Path:
    made = tmp_path / "notebooks"
    made.mkdir()
    notebook = nbformat.read(shared(f"notebooks/{NOTEBOOK}"), as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    cell.source = f"workspace = {str(folder)!r}\nuser = {AUTHOR!r}"
    nbformat.write(notebook, made / NOTEBOOK)
    return made


def test_analyst_builds_a_rule_discovers_a_group_and_finds_both_after_a_restart(start_lab, notebooks, folder):
    from playwright.sync_api import expect

    steps = [
        attr("country") == "DE",
        did("purchase").at_least(2).within(days=365),
        attr("push_opt_in") == True,  # noqa: E712
    ]
    with open_workspace(folder, user=AUTHOR) as ws:
        one = len(ws.members(steps[0]))
        two = len(ws.members(steps[0] & steps[1]))
        rule = steps[0] & steps[1] & steps[2]
        three = len(ws.members(rule))
        figures = ws.preview(rule, app_group="Shop").waterfall
        everybody = ws.preview(rule).total
    assert len({one, two, three}) == 3

    lab = start_lab(notebooks)
    page = lab.open(NOTEBOOK)
    editor = page.locator(".ob-editor")
    expect(editor.get_by_text("The customers are counted as soon as the rule is complete.")).to_be_visible(
        timeout=120_000
    )
    count = editor.get_by_role("status").filter(has_text="customers (")

    # an attribute, found by its meaning's words, with its distribution beside the list
    editor.get_by_role("button", name="Choose an attribute").click()
    editor.get_by_label("Search attributes").fill("country")
    editor.get_by_label("Attributes", exact=True).select_option("country (text)")
    german = editor.locator(".ob-value").filter(has=page.get_by_role("button", name="DE", exact=True))
    expect(german).to_contain_text(f"{one:,}")
    german.click()
    expect(count).to_contain_text(f"{one:,} of {everybody:,} customers")
    editor.get_by_role("button", name="country ▾").click()

    # what they did, as a sentence with blanks
    editor.get_by_role("button", name="Behaviour", exact=True).click()
    editor.get_by_label("Number", exact=True).fill("2")
    editor.get_by_label("Number of days").fill("365")
    expect(count).to_contain_text(f"{two:,} of {everybody:,} customers")

    # a third condition; while it is incomplete nothing is counted
    editor.get_by_role("button", name="Attribute", exact=True).click()
    expect(count).to_have_count(0)
    expect(editor.get_by_text("Choose an attribute.")).to_be_visible()
    editor.get_by_role("button", name="Choose an attribute").click()
    editor.get_by_label("Attributes", exact=True).select_option("push opt-in (yes/no)")
    editor.get_by_label("Yes or no").select_option("yes")
    expect(count).to_contain_text(f"{three:,} of {everybody:,} customers")
    editor.get_by_label("Reach in").select_option("Shop")
    last = editor.get_by_role("row", name="A push message arrives")
    expect(last.get_by_role("cell").last).to_have_text(f"{figures.recipients:,}")
    lab.picture(editor, "explore_segments")
    assert faults(page, within=".ob-editor") == []

    # by keyboard: undo and redo
    editor.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(count).to_have_count(0)
    editor.get_by_role("button", name="Redo").focus()
    page.keyboard.press("Enter")
    expect(count).to_contain_text(f"{three:,} of {everybody:,} customers")

    # the same rule as code, both ways
    editor.get_by_role("button", name="Code", exact=True).click()
    code = editor.get_by_label("Rule as code")
    expect(code).to_have_value(rule.to_text())
    code.fill("attr('country') = 'DE'")
    expect(editor.get_by_role("alert")).to_contain_text("the rule can't be read at column")
    expect(count).to_have_count(0)
    code.fill(rule.to_text())
    expect(count).to_contain_text(f"{three:,} of {everybody:,} customers")
    editor.get_by_label("Name of the group").fill(MINE)
    editor.get_by_role("button", name="Save group").click()
    expect(editor.get_by_role("status").filter(has_text=f"“{MINE}” is saved as version 1.")).to_be_visible()

    # a group that is found, kept by a click
    page.get_by_label("What should be high").fill("future_value")
    page.get_by_label("Groups have").select_option("one condition")
    page.get_by_role("button", name="Discover", exact=True).click()
    finding = page.locator(".ob-finding").first
    expect(finding).to_be_visible(timeout=90_000)
    lab.picture(page, "discovery")
    finding.get_by_label("Name of the group").fill(FOUND)
    finding.get_by_role("button", name="Save group").click()
    expect(finding.get_by_role("status")).to_contain_text(f"“{FOUND}” is saved as version 1.")
    with open_workspace(folder, user=AUTHOR) as ws:
        assert ws.groups.rule(MINE) == rule
        assert ws.groups.rule(FOUND) == ws.discover("future_value", depth=1)[0].rule

    # a corrected delivery is imported and modelled from the same page, whose editor counts on it by itself
    customers = folder / "inbox" / RUN_DATE.isoformat() / "customers.csv"
    lines = customers.read_text().splitlines(keepends=True)
    customers.write_text("".join(lines[:500] + lines[501:]))
    working = page.get_by_role("button", name="Import and model")
    working.click()
    page.get_by_role("button", name="Cancel").first.click()
    expect(
        page.get_by_text("Cancelled; what is published").or_(page.get_by_text("since that was cancelled"))
    ).to_be_visible()
    working.click()
    expect(page.get_by_role("progressbar", name="Progress")).to_be_visible()
    expect(page.get_by_text("Checked and published in")).to_be_visible(timeout=60_000)
    expect(count).to_contain_text(f"of {everybody - 1:,} customers")
    lab.picture(page, "delivery")

    # a new kernel knows both
    page.evaluate(RESTART)
    saved = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=MINE))
    expect(saved).to_contain_text("country is DE", timeout=120_000)
    group = page.get_by_label("Group", exact=True)
    group.select_option(FOUND)
    expect(page.get_by_text("the attributes that differ most come first")).to_be_visible(timeout=60_000)
    group.scroll_into_view_if_needed()
    lab.picture(page, "compare")
    assert lab.requests == []
