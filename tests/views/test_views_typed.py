"""What was typed before a click or a choice is known when it takes effect, and nobody waits who hasn't typed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import pytest

from optinb.views import typed
from optinb.views.controls import button, field, on_enter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@pytest.fixture(autouse=True)
def pause(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(typed, "HELD_BACK_S", 0.08)
    return typed.HELD_BACK_S


def click(control: Any) -> None:
    """As the page tells of a click."""
    control._handle_custom_msg({"event": "click"}, [])


def write(control: Any, text: str) -> None:
    """As the page tells of what was typed."""
    control.set_state({"value": text})


def run(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(what(), 20))


class Form:
    """A text, two buttons, and what each of them found in the text."""

    def __init__(self) -> None:
        self.name, self.found = field(w.Text, "Name"), []
        self.save, self.send = button("Save"), button("Send")
        self.save.on_click(lambda _: self.found.append(f"saved {self.name.value}"))
        self.send.on_click(lambda _: self.found.append(f"sent {self.name.value}"))

    async def until(self, *found: str) -> None:
        while tuple(self.found) != found:
            assert len(self.found) <= len(found), self.found
            await asyncio.sleep(0.005)


def test_a_click_that_overtakes_the_last_letters_waits_for_them_also_on_a_busy_kernel(pause: float) -> None:
    async def overtake() -> None:
        form = Form()
        form.name.observe(lambda _: time.sleep(2 * pause), "value")  # as long as the page holds letters back
        write(form.name, "S")
        click(form.save)
        await asyncio.sleep(pause / 4)
        write(form.name, "Summer")
        await form.until("saved Summer")

    run(overtake)


def test_clicks_keep_their_order_and_a_second_one_sends_nothing_twice(pause: float) -> None:
    async def double() -> None:
        form = Form()
        write(form.name, "S")
        for control in (form.save, form.send, form.send, form.save):
            click(control)
        write(form.name, "Summer")
        await form.until("saved Summer", "sent Summer")
        await asyncio.sleep(2 * pause)
        assert form.found == ["saved Summer", "sent Summer"]

    run(double)


def test_nobody_waits_who_has_not_typed_and_who_types_on_keeps_nothing_waiting(pause: float) -> None:
    async def at_once() -> None:
        form = Form()
        click(form.save)
        form.name.value = "written by the program"
        click(form.send)
        assert form.found == ["saved ", "sent written by the program"]
        write(form.name, "a")
        click(form.save)
        while len(form.found) < 3:
            write(form.name, form.name.value + "b")
            await asyncio.sleep(pause / 8)

    run(at_once)


def test_enter_waits_for_the_letters_although_none_was_heard_yet(pause: float) -> None:
    async def enter() -> None:
        form = Form()
        on_enter(form.name, lambda: form.found.append(f"entered {form.name.value}"))
        form.name._handle_custom_msg({"event": "submit"}, [])
        await asyncio.sleep(pause / 4)
        write(form.name, "Summer")
        await form.until("entered Summer")

    run(enter)


def test_a_click_that_fails_takes_none_along_that_waits_with_it() -> None:
    async def fail() -> None:
        form, failed = Form(), []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context["exception"]))
        write(form.name, "S")
        typed.after_typing("broken", lambda: 1 / 0)
        click(form.save)
        await form.until("saved S")
        assert [type(one) for one in failed] == [ZeroDivisionError]

    run(fail)
