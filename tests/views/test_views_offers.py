from __future__ import annotations

from page_text import text_of

import optinb
from optinb import views
from optinb.demo import APPROVER, CAMPAIGNS


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
