"""The rule editor in JupyterLab by keyboard alone: found, chosen, counted, saved; its lines, its count, its faults."""

from __future__ import annotations

import nbformat
import pytest
from accessibility import faults

from optinb import attr
from optinb.demo import AUTHOR
from optinb.workspace import open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

THEME = """async theme => {
  await window.jupyterapp.commands.execute("apputils:change-theme", { theme });
  while (document.body.dataset.jpThemeName !== theme) await new Promise(done => setTimeout(done, 50));
}"""
CODE = """import optinb
from optinb import attr, did, views
ws = optinb.open_workspace({folder!r}, user={user!r})
views.rule_editor(ws)
--
views.rule_editor(ws, (attr("recency_days") >= 30) & did("purchase").at_least(2).within(days=365)
    & (attr("registered_at") <= optinb.days_ago(44)) & attr("churn_risk").top(10))"""


def test_a_group_is_built_by_keyboard_alone_in_lines_of_one_row_with_its_count_in_sight(start_lab, folder, tmp_path):
    from playwright.sync_api import expect

    with open_workspace(folder, user=AUTHOR) as ws:
        counted = len(ws.members(attr("country").one_of(["DE", "AT"])))
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    cells = CODE.format(folder=str(folder), user=AUTHOR).split("\n--\n")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, notebooks / "editor.ipynb")
    lab = start_lab(notebooks)
    page = lab.open("editor.ipynb", width=1280, height=900)
    editor, full = page.locator(".ob-editor").nth(0), page.locator(".ob-editor").nth(1)
    keys = page.keyboard

    # an attribute by its meaning, an operator, values
    editor.get_by_role("button", name="Choose an attribute").focus(timeout=120_000)
    keys.press("Enter")
    expect(editor.get_by_label("Search attributes")).to_be_focused()
    keys.type("where country")
    keys.press("Enter")
    expect(editor.get_by_text("Choose an attribute to see its values.")).to_be_visible()  # nothing is named so
    keys.press("Control+A")
    keys.type("count")
    expect(editor.get_by_role("option", name="country (text)")).to_be_attached()
    keys.press("Enter")
    expect(editor.get_by_label("Comparison")).to_be_focused()
    value = editor.get_by_label("Value", exact=True)
    expect(value).to_be_visible()  # the line is drawn
    keys.press("Tab")
    expect(value).to_be_focused()
    keys.type("d")
    expect(editor.get_by_text("country is d")).to_be_visible()
    keys.press("Enter")
    expect(editor.get_by_text("country is DE")).to_be_visible()
    austria = editor.get_by_role("button", name="AT", exact=True)
    for _ in range(30):
        keys.press("Tab")
        if austria.evaluate("e => e === document.activeElement"):
            break
    keys.press("Enter")
    count = editor.get_by_role("status").filter(has_text="customers (")
    expect(count).to_contain_text(f"{counted:,} of ")
    name = editor.get_by_label("Name of the group")
    for _ in range(30):
        keys.press("Tab")
        if name.evaluate("e => e === document.activeElement"):
            break
    keys.type("By keyboard")
    page.wait_for_timeout(800)  # what is typed is on its way, and a click would overtake it
    keys.press("Tab")
    keys.press("Enter")
    expect(editor.get_by_text("“By keyboard” is saved as version 1.")).to_be_visible()
    lab.picture(page, "editor_by_keyboard")
    assert faults(page, within=".ob-editor") == []

    # each condition of the full rule is one row, and the count stays in sight at any width
    full.scroll_into_view_if_needed()
    heights = full.locator(".ob-line > .ob-row").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert len(heights) == 4 and max(heights) < 50, heights
    lab.picture(page, "editor_one_line")
    page.set_viewport_size({"width": 390, "height": 844})
    tally = full.locator(".ob-tally")
    expect(tally).to_contain_text(" customers (")
    full.get_by_role("button", name="Save group").scroll_into_view_if_needed()
    expect(tally).to_be_in_viewport()
    lab.picture(page, "editor_narrow")
    for theme in ("Dark", "Light"):
        page.evaluate(THEME, f"JupyterLab {theme}")
        for width in (390, 1024, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert faults(page, within=".ob-editor") == [], f"{theme}, {width}"
    assert lab.requests == []
