"""How soon the pages of `optinb serve` are usable, beside an empty Voilà page with a kernel, in the same run.

    python tests/benchmarks/bench_pages.py [--runs 5]

Both are served by servers of their own, in turns, so that a busy machine slows both alike. Cold is the first visit, by
a browser that was never there, of a server that has just said that it is ready (of the scripts that pages load it knows
those that an earlier server on this machine was asked for); warm is a later visit by the same browser. The empty page
has one cell with one button, which a browser shows once it is connected with the kernel.

`usable_s`: until the plan can be filled in. `tab_ms_p95`: from the press on a tab until the browser has painted what is
in it. `first_tab_ms_p95`: the same of tabs pressed at once, before they were made in the background. `count_ms_p95`:
from another target group until its count stands there. Memory is the proportional share (PSS) of all processes of a
server with one visitor, and the kernel that waits for the next. The bars are ratios to the empty page, and 200 ms for a
tab, on a machine without other work.

Prints one JSON, with medians of all runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from free_ports import free_port
from stated_templates import state_any_time

from optinb import open_workspace
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.demo import APPROVER, CAMPAIGNS, GROUPS, KEYS, RUN_DATE, demo_settings
from optinb.sandbox import Sandbox, demo_world
from optinb.serve.app import REFILL_S
from optinb.serve.pages import pages_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

NOW = "2026-11-23T02:00:00+01:00"
TOKEN = "a-token-for-benchmarks"
SHARE = Path(shared("notebooks/pages")).parents[1] / "optinb" / "serve" / "share"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SHOWN = {
    "Groups": ".ob-editor .ob-field",
    "Plan": ".ob-finish",
    "Approve": ".ob-list-first .ob-facts, .ob-list-first .widget-select",
    "Calendar": ".ob-full",
    "Sends": ".widget-dropdown",
}
PRESS = """([name, wanted]) => new Promise((done, failed) => {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  const at = tabs.findIndex(tab => tab.textContent.trim() === name);
  const { x, y } = tabs[at].getBoundingClientRect();
  const panel = `.widget-tab-contents > :nth-child(${at + 1}):not(.lm-mod-hidden)`;
  const begun = performance.now();
  for (const kind of ['pointerdown', 'pointerup'])
    tabs[at].dispatchEvent(new PointerEvent(kind, {bubbles: true, button: 0, clientX: x + 9, clientY: y + 9}));
  const look = () => {
    if ([...document.querySelectorAll(`${panel} :is(${wanted})`)].some(one => one.getClientRects().length))
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
    else if (performance.now() > begun + 30_000) failed(`${name} shows nothing`);
    else requestAnimationFrame(look);
  };
  look();
})"""
CHOOSE = """index => new Promise((done, failed) => {
  const field = [...document.querySelectorAll('.ob-field')].find(
    one => one.querySelector('label')?.textContent === 'Target group' && one.getClientRects().length);
  const choice = field.querySelector('select');
  const begun = performance.now();
  choice.selectedIndex = index;
  choice.dispatchEvent(new Event('change', {bubbles: true}));
  let counting = false;
  const shown = name => [...document.querySelectorAll(name)].some(one => one.getClientRects().length);
  const look = () => {
    counting ||= shown('.ob-counting');
    if (counting && !shown('.ob-counting') && shown('.ob-big')) done(performance.now() - begun);
    else if (performance.now() > begun + 30_000) failed('no count');
    else setTimeout(look, 5);
  };
  look();
})"""


def make_workspace(root: Path, url: str) -> None:
    """A workspace with the sample, modelled, and two campaigns that wait for approval."""
    init_workspace(root, settings=demo_settings(url))
    shutil.copytree(shared(f"data/sample/{RUN_DATE}"), root / "inbox" / RUN_DATE.isoformat())
    with open_workspace(root, user="demo-author") as ws:
        ws.import_delivery(RUN_DATE)
        ws.model(RUN_DATE)
        for name, rule in GROUPS.items():
            ws.groups.save(name, rule)
        ws.templates.sync()
        state_any_time(ws)
        for campaign in CAMPAIGNS:
            ws.campaigns.submit(campaign)


def make_empty(folder: Path) -> Path:
    """A folder with a page of one cell."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cell = nbformat.v4.new_code_cell("import ipywidgets\nipywidgets.Button(description='Ready')")
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(metadata={"kernelspec": kernel}, cells=[cell]), folder / "workbench.ipynb")
    return folder


class Served:
    """A server that has just said that it is ready."""

    def __init__(self, process: subprocess.Popen[str], url: str, start_s: float) -> None:
        self.process, self.url, self.start_s = process, url, start_s

    def kernels(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pss_mb(self) -> float:
        """The proportional memory of the server and its kernels."""
        every = [psutil.Process(self.process.pid), *self.kernels()]
        return sum(one.memory_full_info().pss for one in every) / 2**20

    def processor_s(self) -> float:
        """Processor seconds that the server and its kernels have taken so far."""
        times = [one.cpu_times() for one in [psutil.Process(self.process.pid), *self.kernels()]]
        return sum(one.user + one.system for one in times)

    def rest(self, kernels: int) -> None:
        """Waits until so many kernels are there and none of the processes works any more."""
        time.sleep(REFILL_S + 1)
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            before = sorted(one.pid for one in self.kernels()), self.processor_s()
            time.sleep(1.5)
            now = sorted(one.pid for one in self.kernels())
            if now == before[0] and len(now) == kernels and self.processor_s() - before[1] < 0.2:
                return


@contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    """A server of a folder until the end of the block."""
    port, begun = free_port(), time.perf_counter()
    command = pages_command(folder, host="127.0.0.1", port=port, base_url="/", theme="light")
    environment = {**os.environ, "OPTINB_SERVE_TOKEN": TOKEN, "JUPYTER_PATH": str(SHARE)}
    process = subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        next(line for line in process.stdout if line.startswith("Ready at "))
        Thread(target=process.stdout.read, daemon=True).start()
        yield Served(process, f"http://127.0.0.1:{port}", time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(60)


def visit(context: BrowserContext, server: Served, ready: str) -> tuple[float, Page]:
    """Seconds until something can be used on the page, and the page."""
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(f"{server.url}/?token={TOKEN}", wait_until="commit")
    page.locator(ready).first.wait_for(timeout=120_000)
    return time.perf_counter() - begun, page


def of_empty(browser: Browser, folder: Path) -> dict[str, Any]:
    """An empty page, served by the same server without kernels that wait."""
    with served(folder, "--VoilaConfiguration.preheat_kernel=False") as server:
        context = browser.new_context()
        cold, page = visit(context, server, "button.jupyter-button")
        memory = server.pss_mb()
        page.close()
        warm, _ = visit(context, server, "button.jupyter-button")
        context.close()
    return {"start_s": server.start_s, "cold_s": cold, "warm_s": warm, "pss_mb": memory}


def of_pages(browser: Browser, folder: Path) -> dict[str, Any]:
    """The page with tabs."""
    plan = ".ob-field.widget-dropdown:has-text('Template') select"
    with served(folder) as server:
        context = browser.new_context(reduced_motion="reduce", viewport={"width": 1440, "height": 1000})
        cold, page = visit(context, server, plan)
        first = [page.evaluate(PRESS, [name, shown]) for name, shown in SHOWN.items()]
        server.rest(2)
        memory = server.pss_mb()
        page.close()  # whose kernel stays for an hour
        warm, page = visit(context, server, plan)
        server.rest(3)
        tabs = [page.evaluate(PRESS, [name, shown]) for _ in range(4) for name, shown in SHOWN.items()]
        page.evaluate(PRESS, ["Plan", SHOWN["Plan"]])
        page.get_by_label("App group", exact=True).select_option("Shop")
        page.get_by_label("Template", exact=True).select_option("Optimove_WinBack_iOS")
        page.get_by_label("Date", exact=True).fill(RUN_DATE.isoformat())
        page.get_by_label("Time", exact=True).fill("18:30")
        page.get_by_label("promo_code: text").fill("BACK")
        page.get_by_label("first_name: if a customer has none").fill("there")
        groups = len(GROUPS)  # behind the line that asks for one
        counts = [page.evaluate(CHOOSE, 1 + n % groups) for n in range(10)]
        context.close()
    return {
        "start_s": server.start_s, "cold_s": cold, "warm_s": warm, "pss_mb": memory, "first": first, "tabs": tabs,
        "counts": counts,
    }  # fmt: skip


def p95(figures: list[float]) -> float:
    return statistics.quantiles(figures, n=20, method="inclusive")[-1]


def report(browser: Browser, empty: Path, runs: int) -> dict[str, object]:
    """The medians of all runs, and which bars hold."""
    pages = Path(shared("notebooks/pages"))
    took = [(of_empty(browser, empty), of_pages(browser, pages)) for _ in range(runs)]

    def median(which: int, name: str) -> float:
        return round(statistics.median(run[which][name] for run in took), 2)

    def every(name: str) -> list[float]:
        return [one for run in took for one in run[1][name]]

    empty_s = {"cold": median(0, "cold_s"), "warm": median(0, "warm_s")}
    usable_s = {"cold": median(1, "cold_s"), "warm": median(1, "warm_s")}
    ratios = {kind: round(usable_s[kind] / empty_s["cold"], 2) for kind in usable_s}
    tab_ms = round(p95(every("tabs")))
    return {
        "runs": runs,
        "load": round(os.getloadavg()[0], 1),
        "empty_page_s": empty_s["cold"],
        "empty_page_warm_s": empty_s["warm"],
        "usable_s": usable_s,
        "ratio": ratios,
        "tab_ms_p95": tab_ms,
        "first_tab_ms_p95": round(p95(every("first"))),
        "count_ms_p95": round(p95(every("counts"))),
        "server_start_s": {"empty": median(0, "start_s"), "pages": median(1, "start_s")},
        "pss_mb": {"empty": round(median(0, "pss_mb")), "pages": round(median(1, "pss_mb"))},
        "holds": {"cold": ratios["cold"] <= 1.3, "warm": ratios["warm"] <= 0.5, "tab": tab_ms <= 200},
    }


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    os.environ |= {**KEYS, "OPTINB_NOW": NOW, "OPTINB_USER": APPROVER}
    chromium = next(path for path in map(shutil.which, CHROMIUM) if path)
    with tempfile.TemporaryDirectory() as made, Sandbox(demo_world(), now=datetime.fromisoformat(NOW)) as sandbox:
        root = Path(made) / "workspace"
        make_workspace(root, sandbox.url)
        os.environ |= {"OPTINB_WORKSPACE": str(root), "JUPYTER_CONFIG_DIR": f"{made}/jupyter", "IPYTHONDIR": made}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            print(json.dumps(report(browser, make_empty(Path(made) / "empty"), given.runs), indent=1))
            browser.close()


if __name__ == "__main__":
    main()
