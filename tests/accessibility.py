"""What axe-core finds fault with on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def faults(page: Page, *, within: str | None = None) -> list[str]:
    """Every fault that is more than minor on a page, or in the parts that a CSS selector names, in a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=within).response["violations"]
    return [
        f"{rule['id']}: {node['html']} ({node['failureSummary']})"
        for rule in found
        if rule["impact"] != "minor"
        for node in rule["nodes"]
    ]
