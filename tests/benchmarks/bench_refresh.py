"""How long a count takes to follow an edit in the rule editor, measured in Chromium on a running JupyterLab.

    python tests/benchmarks/bench_refresh.py [--customers 1000000] [--transactions 10000000] [--edits 40]
        [--folder DIR]

A delivery of customers, app users and a month of transactions is imported into a workspace (kept in DIR, if one is
given). A notebook opens the editor on a rule of one condition; each edit writes another number into its blank, and the
clock runs from that keystroke in the page until the page shows the exact count of the new rule, which was counted
beforehand in another process. `attribute` edits `attr("visits") >= N`, `beside` the same with a behaviour beside it,
`behaviour` the days of `(attr("country") == "DE") & did("purchase").at_least(2).within(days=N)`, and `working` the same
as `attribute` while all customers are modelled in the same notebook at the press of a button.

Prints one JSON: of each kind the median, the 95th percentile and the maximum in milliseconds. The bars: an attribute
condition under 300 ms at the 95th percentile, alone and `beside`, a behaviour condition under 1,500 ms. `first_s` is
the first count of a version, which also looks up what a push makes of every customer; `at_work`: whether the models
were still being made after the last edit. `working` has no bar but its maximum, which says whether the page froze.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import nbformat
from deliveries import RUN_DATE, write

from optinb.base.workspace_folder import init_workspace
from optinb.rules import attr, did
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from optinb.rules import Rule

SETTINGS = """
[workspace]
time_zone = "Europe/Berlin"
identity = "asserted"
[import]
required = []
max_growth = 1000000
[[app_groups]]
id = "11111111-2222-3333-4444-555555555555"
name = "Shop"
api = "http://127.0.0.1:1"
key = "env:OPTINB_SHOP_KEY"
  [[app_groups.apps]]
  id = "shop-ios"
  name = "Shop for iPhone"
  platform = "ios"
  [[app_groups.apps]]
  id = "shop-android"
  name = "Shop for Android"
  platform = "android"
"""
RUN = """async () => {
  const { commands, shell } = window.jupyterapp;
  const { ready, sessionContext } = shell.currentWidget.context;
  await ready;
  await sessionContext.ready;
  await sessionContext.session.kernel.info;
  await commands.execute("notebook:run-all-cells");
}"""
LOADED = """() => window.jupyterapp?.commands.hasCommand("notebook:run-all-cells")
  && Boolean(window.jupyterapp.shell.currentWidget?.context)"""
# From the keystroke until the page shows the count; milliseconds.
EDIT = """([label, value, expected]) => new Promise((resolve, reject) => {
  const editor = document.querySelector(".ob-editor");
  const named = [...editor.querySelectorAll("label")].find((l) => l.textContent.trim() === label);
  const input = document.getElementById(named.htmlFor) ?? named.parentElement.querySelector("input");
  const shown = () => editor.querySelector(".ob-count .ob-big")?.textContent === expected;
  const began = performance.now();
  const watch = new MutationObserver(() => {
    if (shown()) { watch.disconnect(); resolve(performance.now() - began); }
  });
  watch.observe(editor, { childList: true, subtree: true, characterData: true });
  setTimeout(() => { watch.disconnect(); reject(new Error(`no count of ${expected} came`)); }, 60000);
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def attribute(number: int) -> Rule:
    return attr("visits") >= number


def behaviour(days: int) -> Rule:
    return (attr("country") == "DE") & did("purchase").at_least(2).within(days=days)


def beside(number: int) -> Rule:
    return (attr("visits") >= number) & did("purchase").at_least(2).within(days=14)


KINDS = {
    "attribute": (attribute, "Number"),
    "beside": (beside, "Number"),
    "behaviour": (behaviour, "Number of days"),
    "working": (attribute, "Number"),
}


def prepare(root: Path, customers: int, transactions: int) -> None:
    """Imports the delivery, which stays in the inbox."""
    init_workspace(root, settings=SETTINGS)
    inbox = root / "inbox" / f"{RUN_DATE}"
    write(inbox, customers=customers, app_users=int(1.2 * customers), transactions=transactions)
    with open_workspace(root, user="bench") as ws:
        ws.import_delivery(RUN_DATE)


def edits_of(kind: str, count: int) -> list[int]:
    """The numbers that are written: up and down over the whole range, none of them a second time in 40 edits."""
    highest = 41 if kind == "behaviour" else 43
    return [1 + (7 * at) % highest for at in range(1, count + 1)]


def counts_of(root: Path, count: int) -> dict[str, dict[int, str]]:
    """The exact counts, as the page writes them."""
    found: dict[str, dict[int, str]] = {}
    with open_workspace(root, user="bench") as ws:
        for kind, (rule, _) in KINDS.items():
            numbers = sorted(set(edits_of(kind, count)))
            found[kind] = {number: f"{ws.groups.count(rule(number)).customers:,}" for number in numbers}
    return found


@contextmanager
def lab(notebooks: Path) -> Iterator[str]:
    """JupyterLab on a folder; gives its address, with the token as `%s` of a notebook."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.root_dir": notebooks,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": token,
    }
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--expose-app-in-browser"]
    with subprocess.Popen(
        [*command, *(f"--{name}={value}" for name, value in options.items())],
        env={**os.environ, **{name: str(notebooks / name.casefold()) for name in own}},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(rf"http://127\.0\.0\.1:{port}/lab", line):
                break
        Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{port}/doc/workspaces/%s/tree/%s.ipynb?token={token}"
        finally:
            process.terminate()


def measure(page: Page, kind: str, count: int, counts: dict[int, str]) -> list[float]:
    """Milliseconds of each edit."""
    label = KINDS[kind][1]
    page.locator(".ob-editor .ob-count").wait_for(timeout=300_000)
    return [page.evaluate(EDIT, [label, str(number), counts[number]]) for number in edits_of(kind, count)]


def summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "median_ms": round(statistics.median(ordered)),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]),
        "max_ms": round(ordered[-1]),
        "edits": len(ordered),
    }


def report(root: Path, count: int) -> dict[str, object]:
    """All figures."""
    from playwright.sync_api import sync_playwright

    counts = counts_of(root, count)
    notebooks = root / "bench notebooks"
    notebooks.mkdir(exist_ok=True)
    for kind, (rule, _) in KINDS.items():
        lines = [
            "import optinb",
            "from optinb import views",
            f"ws = optinb.open_workspace({str(root)!r}, user='bench')",
            f"views.rule_editor(ws, {rule(2).to_text()!r})",
        ]
        cells = [nbformat.v4.new_code_cell("\n".join(lines)), nbformat.v4.new_code_cell("views.delivery(ws)")]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, notebooks / f"{kind}.ipynb")
    found: dict[str, object] = {}
    chromium = next(path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path)
    with lab(notebooks) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        for kind in KINDS:
            page = browser.new_page(viewport={"width": 1440, "height": 1400})
            page.goto(address % (kind, kind))
            page.wait_for_function(LOADED)
            began = time.perf_counter()
            page.evaluate(RUN)
            page.locator(".ob-editor .ob-count").wait_for(timeout=300_000)
            first = time.perf_counter() - began
            bar = page.get_by_role("progressbar", name="Progress")
            if kind == "working":
                page.get_by_role("button", name="Import and model").click()
                bar.wait_for()
            figures = {**summary(measure(page, kind, count, counts[kind])), "first_s": round(first, 1)}
            found[kind] = {**figures, "at_work": bar.is_visible()} if kind == "working" else figures
            page.close()
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--transactions", type=int, default=10_000_000)
    parser.add_argument("--edits", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="where the workspace lies, or is made; needs two gigabytes")
    given = parser.parse_args()
    os.environ["OPTINB_NOW"] = f"{RUN_DATE}T03:00:00+01:00"
    with tempfile.TemporaryDirectory() as made:
        root = (given.folder or Path(made) / "ws").resolve()
        if not (root / "optinb.toml").exists():
            prepare(root, given.customers, given.transactions)
        figures = report(root, given.edits)
    print(json.dumps({"customers": given.customers, "transactions": given.transactions, **figures}, indent=1))


if __name__ == "__main__":
    main()
