from __future__ import annotations

from datetime import timedelta
from html import unescape

import papermill
import pytest

from optinb.base.share import shared
from optinb.demo import AUTHOR, RUN_DATE
from optinb.workspace import open_workspace


@pytest.fixture
def execute(folder, tmp_path):
    """Runs a notebook and returns what its cells show, as HTML."""

    def run(name: str, **parameters: str) -> str:
        done = papermill.execute_notebook(
            str(shared(f"notebooks/{name}")),
            str(tmp_path / name),
            parameters=parameters or {"workspace": str(folder), "user": AUTHOR},
            kernel_name="python3",
            progress_bar=False,
        )
        outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "stream"], "a notebook shows values and prints nothing"
        results = [o.data for o in outputs if o.output_type == "execute_result"]
        assert all({"text/html", "application/vnd.jupyter.widget-view+json"} & set(data) for data in results)
        return "\n".join("".join(o.get("data", {}).get("text/html", "")) for o in outputs)

    return run


def test_explore_segments_saves_a_group_with_its_exact_count(execute, folder):
    shown = execute("explore_segments.ipynb")
    with open_workspace(folder, user=AUTHOR) as ws:
        size = ws.groups.count("Lapsed, German-speaking")
    assert size.customers > 0
    assert f">{size.customers:,}</span>" in shown
    assert size.sentence in shown


def test_plan_and_approve_opens_on_the_templates_of_appboy(execute, folder):
    shown = execute("plan_and_approve.ipynb")
    assert "Club" in shown
    with open_workspace(folder, user=AUTHOR) as ws:
        assert any(template.usable for template in ws.templates.list("Club"))


def test_start_here_goes_from_a_delivery_to_scheduled_messages(execute, tmp_path):
    trial = tmp_path / "trial"
    shown = execute("start_here.ipynb", workspace=str(trial))
    with open_workspace(trial, user=AUTHOR) as ws:
        assert ws.campaigns.get("Summer, lapsed").state == "done"
        (run,) = ws.store.runs.list()
        answers = [ws.why(customer).answers[0] for customer in ("000014", "000034")]
        cost, page = ws.campaigns.preview("Summer, lapsed").offer_cost, ws.campaign_page("Summer, lapsed")
    (sent,) = (run.summary or {})["campaigns"]
    assert sent["accepted"] == sent["recipients"] > 0
    assert f"{sent['recipients']:,}</td>" in shown
    assert page.redeemed is not None and page.redeemed.cost == 5.0 * page.redeemed.redeemed > 0
    assert page.redeemed.given == sent["recipients"] and page.redeemed.until == RUN_DATE + timedelta(days=1)
    assert page.redeemed.sentence()[1:] in unescape(shown)
    assert cost is not None and cost.at_most == 5.0 * cost.recipients
    assert [answer.outcome for answer in answers] == ["recipient", "excluded"]
    assert all(answer.why in shown for answer in answers)


def test_track_runs_before_anything_was_sent_and_says_so(execute):
    assert "Nothing was sent yet." in execute("track.ipynb")
