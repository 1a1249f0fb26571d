"""A bar is for somebody who watches: a person's notebook, not one that a scheduler runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = """
from optinb.base.progress import progress
with progress("delivery", total=2, unit="B") as tell:
    tell(1, "customers")
    tell(1)
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("by_a_person", [True, False])
def test_a_bar_is_shown_where_a_person_could_be_asked(kernel: Any, by_a_person: bool) -> None:
    said: list[dict[str, Any]] = []
    # A person's notebook lets a cell ask for input; papermill and nbconvert never do.
    reply = kernel.execute_interactive(CODE, allow_stdin=by_a_person, output_hook=said.append, timeout=60)
    assert reply["content"]["status"] == "ok"
    shown = [message for message in said if message["msg_type"] in ("stream", "display_data")]
    assert bool(shown) == by_a_person
