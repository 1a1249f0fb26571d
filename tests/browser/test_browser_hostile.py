"""Hostile values in JupyterLab, on the served pages, in the report and on the page of the sandbox: nothing fires."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import nbformat
import pytest
from hostile import DAY, hostile_world, names, prepare, template_name, trap
from pages_server import open_tab, serving

from optinb.demo import APPROVER, AUTHOR
from optinb.night import night_folder
from optinb.notebook import run_night
from optinb.sandbox import Sandbox

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420)]

NIGHT = datetime.fromisoformat("2026-11-23T02:00:00+01:00")
NO_SUCH_GROUP = 'ws.groups.get(told["name"])'  # an error whose text is hostile
ACTS = '[onerror], [onload], a[href^="javascript:"], img[src*="{port}"], script[src*="{port}"], svg[onload]'
CELLS = """
import optinb
from optinb import attr, in_list, views
import json
told = json.loads({told!r})
ids, group, campaign, listed = told["ids"], told["group"], told["campaign"], told["list"]
ws = optinb.open_workspace({workspace!r}, user={user!r})
ws
--
views.delivery(ws)
--
views.stages(ws)
--
views.micro_segments(ws)
--
views.rule_editor(ws, group=group)
--
ws.preview(in_list(listed) | (attr("first_name") == told["name"]), app_group="Shop")
--
ws.members(in_list(listed)).head(10)
--
ws.customers().select("customer_id", "first_name", "city", "loyalty_tier").collect()
--
print("\\n".join(str(row) + row[1] for row in ws.customers().select("customer_id", "first_name").collect().rows()[:40]))
--
views.discover(ws)
--
views.compare(ws)
--
views.overlap(ws)
--
views.sizes(ws)
--
views.attributes(ws)
--
views.migration(ws)
--
ws.groups.list()
--
ws.templates.sync()
--
ws.templates.list()
--
views.planner(ws)
--
views.approval_desk(ws)
--
views.calendar(ws)
--
views.monitor(ws)
--
views.campaigns(ws)
--
ws.campaigns.preview(ws.campaigns.get(campaign + " waits").campaign, samples=3)
--
views.sent(ws)
--
views.stages_over_time(ws)
--
views.sdk_rollout(ws)
--
from IPython.display import display
for one in ids:
    display(ws.why(one), views.customer(ws, one))
--
display(*(ws.campaigns.message(campaign, one) for one in ids[:6]))
--
ws.groups.get(told["name"])
--
"the" + " end"
"""


@pytest.fixture(scope="module")
def hostile_night(tmp_path_factory):
    """A workspace after its night, the ids of hostile customers, the trap that counts, and the sandbox."""
    root = tmp_path_factory.mktemp("hostile") / "ws"
    with pytest.MonkeyPatch.context() as patch, trap() as trapped:
        for name, value in {
            "OPTINB_SHOP_KEY": "sandbox-shop-key",
            "OPTINB_CLUB_KEY": "sandbox-club-key",
            "OPTINB_NOW": NIGHT.isoformat(),
            "OPTINB_USER": AUTHOR,
        }.items():
            patch.setenv(name, value)
        with Sandbox(hostile_world(trapped), journal=root.parent / "sandbox.jsonl", now=NIGHT) as sandbox:
            ids = prepare(root, sandbox.url, trapped)
            run_night(root, DAY)
            yield root, ids, trapped, sandbox


def fired(page, trapped) -> list[object]:
    """What a page shows that did something, or could."""
    found: list[object] = [frame.evaluate("window.__fired") for frame in page.frames]
    found += [
        frame.eval_on_selector_all(ACTS.format(port=trapped.port), "all => all.map(e => e.outerHTML)")
        for frame in page.frames
    ]
    return [one for one in found if one] + list(trapped.asked)


def watched(page) -> list[str]:
    """The dialogs that a page opens from now on."""
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    return dialogs


def test_trap_counts_what_is_taken_for_markup(site):
    with trap() as trapped:
        page = site.visit(f"http://127.0.0.1:{trapped.port}/page")
        page.set_content(f"<p>{trapped.image('control')}</p>")
        page.wait_for_function("window.__fired === 'control'")
        assert "/control" in trapped.asked
        assert "control" in fired(page, trapped)


def test_nothing_fires_in_jupyterlab(hostile_night, start_lab, tmp_path):
    from playwright.sync_api import expect

    root, ids, trapped, _ = hostile_night
    told = {"ids": ids, "name": trapped.image("first_name"), **names(trapped)}
    code = CELLS.format(told=json.dumps(told), workspace=str(root), user=AUTHOR)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    for cell in code.strip().split("\n--\n"):
        made = nbformat.v4.new_code_cell(cell)
        made.metadata["tags"] = ["raises-exception"] if cell.endswith(NO_SUCH_GROUP) else []
        notebook.cells.append(made)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    nbformat.write(notebook, notebooks / "all.ipynb")
    (notebooks / "night.ipynb").write_bytes(
        (night_folder(root, DAY, dry_run=False) / "nightly_send.ipynb").read_bytes()
    )
    # every cell is in the page, not only those that a window shows
    whole = tmp_path / "lab-settings" / "@jupyterlab" / "notebook-extension"
    whole.mkdir(parents=True)
    (whole / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    lab = start_lab(notebooks)
    page = lab.open("all.ipynb", height=4_000)
    dialogs = watched(page)
    expect(page.get_by_text("'the end'", exact=True)).to_be_visible(timeout=150_000)
    errors = page.locator(
        '[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type*="error"]'
    ).all_inner_texts()
    assert len(errors) <= 1, errors
    plan_hostile(page, trapped)
    expect(page.get_by_text(trapped.image("alert")).first).to_be_visible()
    expect(page.get_by_text(trapped.image("comment")).first).to_be_attached()
    shown = page.locator("body").inner_text()
    for place in ("first_name", "city", "id", "group", "campaign", "template", "title", "notes"):
        assert trapped.image(place) in shown, f"the hostile {place} isn't shown, which proves nothing"
    page.wait_for_timeout(1_500)
    assert fired(page, trapped) == []
    past = lab.visit(f"{lab.url}/doc/workspaces/night/tree/night.ipynb?token={lab.token}", height=4_000)
    dialogs += watched(past)
    expect(past.get_by_text(names(trapped)["campaign"]).first).to_be_visible(timeout=60_000)
    assert fired(past, trapped) == []
    assert dialogs == []
    assert lab.requests == []
    for opened in (page, past):
        opened.context.close()


def plan_hostile(page, trapped):
    """Chooses all of the planner that the message needs."""
    page.get_by_label("App group", exact=True).first.select_option("Shop")
    page.get_by_label("Template", exact=True).first.select_option(template_name(trapped, "Shop"))
    page.get_by_label("Target group", exact=True).first.select_option(names(trapped)["group"])
    page.get_by_label("Date", exact=True).first.fill("2026-11-24")
    page.get_by_label("Time", exact=True).first.fill("18:30")


def test_nothing_fires_on_the_served_pages_the_report_and_the_page_of_the_sandbox(hostile_night, site, tmp_path):
    from playwright.sync_api import expect

    root, _, trapped, sandbox = hostile_night
    name = names(trapped)["campaign"]
    shows = {"plan": "", "approve": f"{name} waits", **dict.fromkeys(("calendar", "sends", "results"), name)}
    shows |= {"groups": names(trapped)["group"]}
    with serving(root, tmp_path, user=APPROVER, options=()) as pages:
        for page_of, text in shows.items():
            page = site.visit(pages.address(tab=page_of))
            dialogs = watched(page)
            if text:
                expect(page.get_by_text(text).first).to_be_attached(timeout=90_000)
            else:
                template = open_tab(page).get_by_label("Template", exact=True)
                expect(template).to_be_visible(timeout=90_000)
                plan_hostile(open_tab(page), trapped)
                expect(page.get_by_text(trapped.image("alert")).first).to_be_visible()
            page.wait_for_timeout(500)
            assert fired(page, trapped) == [], page_of
            assert dialogs == []
            assert "token" not in page.url
            page.context.close()
    report = site.visit((night_folder(root, DAY, dry_run=False) / "report.html").as_uri())
    expect(report.get_by_text(name).first).to_be_attached()
    assert fired(report, trapped) == []
    board = site.visit(sandbox.url)
    expect(board.get_by_text(trapped.image("title")).first).to_be_visible()
    with board.expect_navigation():
        board.get_by_role("button", name="+ 1 day").click()
    expect(board.get_by_text("delivered").nth(1)).to_be_visible()
    assert sandbox.clock.now() >= NIGHT + timedelta(days=1)
    assert fired(board, trapped) == []
    assert site.requests == []
