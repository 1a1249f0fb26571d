"""How notebooks show what became of sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from optinb import views

if TYPE_CHECKING:
    from optinb.workspace import Workspace


@pytest.fixture
def shell() -> InteractiveShell:
    made = InteractiveShell()
    views.install(made)
    return made


def test_what_became_of_sends_is_text_as_a_command_would_say_it(shell: InteractiveShell, ws: Workspace) -> None:
    formatter: Any = shell.display_formatter
    data, _ = formatter.format(ws.sends.reconcile())
    assert data == {"text/plain": "no delivery is unknown"}
