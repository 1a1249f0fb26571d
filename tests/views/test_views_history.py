"""What the undo button takes back."""

from __future__ import annotations

from optinb.views.history import MOST_STEPS, History, changed, noted


def test_each_choice_is_taken_back_by_itself():
    history = noted(noted(History({"group": "A"}), {"group": "B"}), {"group": "B", "control": 0.2})
    assert history.undo().now == {"group": "B"}
    assert history.undo().undo().now == {"group": "A"}
    assert history.undo().undo().undo().now == {"group": "A"}


def test_the_letters_of_one_text_are_taken_back_together_and_another_text_by_itself():
    history = History({"offer": {"name": ""}})
    for text in ("W", "Wi", "Win"):
        history = noted(history, {"offer": {"name": text}})
    history = noted(history, {"offer": {"name": "Win"}, "notes": "x"})
    assert history.undo().now == {"offer": {"name": "Win"}}
    assert history.undo().undo().now == {"offer": {"name": ""}}


def test_what_changes_nothing_is_no_step_and_only_so_many_are_kept():
    history = History({"priority": 0})
    assert noted(history, {"priority": 0}) is history
    for number in range(1, 2 * MOST_STEPS):
        history = noted(history, {"priority": number})
    assert len(history.before) == MOST_STEPS


def test_changes_are_found_by_their_place():
    before, after = {"schedule": {"at": "09:00"}, "group": "A"}, {"schedule": {"at": "10:00"}, "group": "A"}
    assert changed(before, after) == {"schedule.at": ("09:00", "10:00")}
