from __future__ import annotations

from typing import Any

from page_text import text_of
from planned import fill

import optinb
from optinb import views
from optinb.demo import APPROVER, CAMPAIGNS
from optinb.views.plan.planner import Planner


def test_offer_is_written_changed_and_archived_in_a_form(ws, folder):
    view = views.offers(ws)
    assert "No offer is saved yet" in text_of(view.saved.value)
    view.form.name.value = "Spring"
    view.form.cost_of_one.value = "five"
    view.save.click()
    assert "cost_of_one" in text_of(view.result.value) and ws.offers.list() == ()
    view.form.cost_of_one.value = "2.5"
    view.save.click()
    assert "is saved, as version 1" in text_of(view.result.value)
    assert ws.offers.get("Spring").offer.cost_of_one == 2.5
    assert "Spring" in text_of(view.saved.value) and view.offer.value == "Spring"
    ws.campaigns.submit({**CAMPAIGNS[0], "offer": "Spring"})
    view.archive.click()
    assert "takes it; cancel that first" in text_of(view.result.value)
    ws.campaigns.cancel(CAMPAIGNS[0]["name"])
    view.archive.click()
    assert "is archived" in text_of(view.result.value) and view.offer.value == ""


def test_offers_open_beside_the_plan_and_what_is_saved_there_can_be_taken_at_once(ws, folder):
    ws.templates.sync()
    planner = fill(Planner(ws))
    fold = planner.offers
    assert fold.content is None  # nothing is made for somebody who doesn't look
    fold.toggle.click()
    view: Any = fold.content
    view.form.name.value = "Spring"
    fold.toggle.click()
    assert view.layout.display == "none"
    fold.toggle.click()
    assert view.layout.display == "" and view.form.name.value == "Spring"  # what was written stays
    view.save.click()
    assert "Spring" in [name for _, name in planner.offer.saved.options] and planner.offer.saved.value == ""
    planner.offer.saved.value = "Spring"
    assert planner.fields()["offer"] == "Spring"
    fold.toggle.click()
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.offers.save({"name": "Autumn", "kind": "gift", "cost_of_one": 2.0})
    fold.toggle.click()
    assert view.offer.value == "Spring" and "Autumn" in text_of(view.saved.value)
    view.form.cost_of_one.value = "3"
    view.save.click()
    assert "3.00 EUR" in text_of(planner.audience.value)
    planner.close()


def test_offer_that_somebody_else_changed_meanwhile_is_not_overwritten(ws, folder):
    ws.offers.save({"name": "Spring", "kind": "gift"})
    view = views.offers(ws)
    view.offer.value = "Spring"
    with optinb.open_workspace(folder, user=APPROVER) as boss:
        boss.offers.save({"name": "Spring", "kind": "points"})
    view.form.terms.value = "Once."
    view.save.click()
    assert f"was changed by {APPROVER}" in text_of(view.result.value)
    assert ws.offers.get("Spring").offer.kind == "points"
