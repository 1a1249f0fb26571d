from __future__ import annotations

import pytest
from page_text import text_of

from optinb.delivery.send_watch import nights, watch
from optinb.demo import APPROVER, AUTHOR, CAMPAIGNS, RUN_DATE
from optinb.night import Night
from optinb.views.sends_view import Monitor, rate_of
from optinb.views.tables import sent
from optinb.workspace import open_workspace

NAME = "Summer, lapsed"


@pytest.fixture
def night(folder, ws):
    """A night that has frozen its audiences and sent nothing yet, as another process runs it."""
    for campaign in CAMPAIGNS:
        ws.campaigns.submit(campaign)
    with open_workspace(folder, user=APPROVER) as approver:
        approver.campaigns.approve(NAME, seen=approver.campaigns.preview(NAME))
    begun = Night(open_workspace(folder, user="scheduler"), RUN_DATE)
    begun.import_delivery()
    begun.templates()
    begun.audiences()
    yield begun
    begun.close()


def test_rate_is_between_the_first_and_the_last_look():
    assert rate_of([(0.0, 100), (4.0, 300), (10.0, 1_100)]) == 100
    assert rate_of([(1.0, 5)]) == rate_of([]) == rate_of([(1.0, 5), (1.0, 9)]) == 0


def test_monitor_before_the_first_night_says_what_makes_one(ws):
    monitor = Monitor(ws)
    assert "No night has run yet. A scheduler runs it" in text_of(monitor.pane.value)
    assert monitor._recall.layout.display == "none"


def test_monitor_follows_a_night_that_another_process_runs(night, ws):
    ticks = iter((0.0, 5.0, 60.0))
    monitor = Monitor(ws, clock=lambda: next(ticks))
    shown = text_of(monitor.pane.value)
    recipients = watch(ws.context, ws.store, RUN_DATE).sends[0].audience.recipients
    assert "The night of Mon 23 Nov 2026 is under way" in shown
    assert f"{NAME} to come 0 of {recipients} recipients; arrives Mon 23 Nov 2026, 18:30 (Europe/Berlin)" in shown
    night.sends()
    monitor._look_again()
    shown = text_of(monitor.pane.value)
    assert f"{NAME} sent {recipients} of {recipients} recipients" in shown
    assert f"accepted {recipients} refused 0 unknown 0" in shown
    night.report()
    monitor._look_again()
    shown = text_of(monitor.pane.value)
    assert "ended" in shown
    assert "with exit code 4: see its report" in shown
    assert "Club night, regulars held" in shown


def test_monitor_shows_the_rate_while_it_is_sent(night, ws, monkeypatch):
    from optinb.delivery import send_watch as watching

    found = watch(ws.context, ws.store, RUN_DATE).sends[0]
    counts = ({"accepted": 20}, {"accepted": 70, "unknown": 10, "refused": 10})

    def at(step):
        pending = found.audience.recipients - sum(counts[step].values())
        return watching.NightSends(
            run_date=RUN_DATE,
            run=None,
            held={},
            sends=(
                watching.Send(
                    audience=found.audience,
                    counts=type(found.counts)(pending=pending, **counts[step]),
                    is_recallable=False,
                ),
            ),
        )

    ticks, steps = iter((0.0, 5.0)), iter((0, 1))
    monkeypatch.setattr("optinb.views.sends_view.watch", lambda *_: at(next(steps)))
    monitor = Monitor(ws, clock=lambda: next(ticks))
    monitor._look_again()
    shown = text_of(monitor.pane.value)
    assert "sending 90 of" in shown
    assert "recipients, 14 a second" in shown
    assert "accepted 70 refused 10 unknown 10" in shown


def test_recall_is_asked_for_and_may_be_taken_back(night, ws):
    night.sends()
    monitor = Monitor(ws)
    assert monitor._sure.layout.display == "none"
    monitor.recall.click()
    assert f"This cancels “{NAME}”" in text_of(monitor.question.value)
    monitor.no.click()
    assert monitor._sure.layout.display == "none"
    assert ws.campaigns.get(NAME).state != "cancelled"


def test_recall_takes_back_what_appboy_has_scheduled(night, ws, sandbox):
    night.sends()
    night.report()
    recipients = watch(ws.context, ws.store, RUN_DATE).sends[0].audience.recipients
    monitor = Monitor(ws)
    monitor.recall.click()
    monitor.reason.value = "wrong code"
    monitor.yes.click()
    assert f"“{NAME}” is cancelled. Night of 2026-11-23: {recipients} recalled" in text_of(monitor.result.value)
    record = ws.campaigns.get(NAME)
    assert (record.state, record.comment) == ("cancelled", "wrong code")
    shown = text_of(monitor.pane.value)
    assert "Stopped by a person: wrong code" in shown
    assert f"recalled {recipients}" in shown
    assert "arrives nowhere" in shown
    assert "arrives Mon" not in shown
    assert f"{NAME} Shop recalled nowhere" in text_of(str(sent(ws).data))
    assert monitor._recall.layout.display == "none"


def test_nights_are_told_newest_first(night, ws):
    assert nights(ws.store) == (RUN_DATE,)
    monitor = Monitor(ws)
    assert [label for label, _ in monitor.night.options] == ["the newest night", "Mon 23 Nov 2026"]


def test_what_was_sent_to_whom_stands_in_a_table_with_what_was_held(night, ws):
    night.sends()
    night.report()
    send = watch(ws.context, ws.store, RUN_DATE).sends[0]
    figures = send.audience.waterfall
    shown = text_of(str(sent(ws).data))
    assert (
        f"Mon 23 Nov 2026 {NAME} Shop sent Mon 23 Nov 2026, 18:30 (Europe/Berlin) {figures.target} "
        f"{sum(figures.excluded.values())} {figures.control} {figures.recipients} {figures.recipients}"
    ) in shown
    assert "Club night, regulars held" in shown


def test_names_are_escaped(ws, folder):
    from optinb.show.pages import fragment

    with open_workspace(folder, user=AUTHOR):
        assert "<img" not in fragment("monitor.html.j2", "question", "<img src=x>")
