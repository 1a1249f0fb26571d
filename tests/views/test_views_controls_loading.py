"""What is written while a page loads isn't lost to it."""

from __future__ import annotations

import asyncio

from optinb.views import controls
from optinb.views.controls import Pane


def test_what_is_written_while_a_page_loads_is_told_again_and_later_only_once(monkeypatch) -> None:
    monkeypatch.setattr(controls, "TELL_AGAIN_S", (0.0, 0.01))
    told: list[str] = []
    monkeypatch.setattr(Pane, "send_state", lambda pane, key=None: told.append(f"{key}: {pane.value}"))

    async def write() -> None:
        pane = Pane()
        pane.show("127 customers")
        while sum("127" in text for text in told) < 3:
            await asyncio.sleep(0.01)
        pane._told_until = 0.0
        pane.show("128 customers")
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(write(), 20))
    assert told[-1] == 'value: <div class="ob">128 customers</div>'
    assert sum("128" in text for text in told) == 1
