"""The demo: the whole way from a delivery to scheduled messages, on the sample, against the embedded sandbox."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from optinb.appboy import TemplateRules
from optinb.base.clock import VARIABLE as NOW
from optinb.base.files import copy_tree
from optinb.base.settings import FILE_NAME, load_settings
from optinb.base.share import shared
from optinb.base.workspace_folder import init_workspace
from optinb.campaigns import may
from optinb.errors import UsageError, interruptible
from optinb.notebook import run_night
from optinb.rehearsal import APPROVER, AUTHOR, JOURNAL, KEYS, SCHEDULER, begins_at, environment, start_sandbox
from optinb.rules import did
from optinb.sandbox import Sandbox, demo_world
from optinb.sandbox.sample import write_sample
from optinb.show.registry import install
from optinb.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from optinb.measure import NightSummary
    from optinb.rules import Rule
    from optinb.workspace import Workspace

RUN_DATE = date(2026, 11, 23)  # of the committed sample
GROUPS: dict[str, Rule] = {
    "Lapsed buyers": did("purchase").at_least(2).within(days=365) & ~did("purchase").within(days=60),
    "Club regulars": did("purchase").at_least(3).within(days=90),
}
CAMPAIGNS: tuple[dict[str, Any], ...] = (
    {
        "name": "Summer, lapsed",
        "app_group": "Shop",
        "template": "Optimove_SummerSale_iOS",
        "group": "Lapsed buyers",
        "control": 0.1,
        "schedule": {"date": RUN_DATE, "at": "18:30"},
        "properties": {
            "first_name": {"attribute": "first_name", "default": "there"},
            "promo_code": {"value": "SUMMER"},
        },
    },
    {
        "name": "Club night, regulars",
        "app_group": "Club",
        "template": "Optimove_ClubNight_Android",
        "group": "Club regulars",
        "control": 0.1,
        "schedule": {"every": "day", "at": "17:00"},
        "properties": {
            "first_name": {"attribute": "first_name", "default": "there"},
            "promo_code": {"value": "CLUB"},
        },
    },
)

# What the first of them offers where the demo shows what that costs.
OFFER: dict[str, Any] = {"name": "Summer", "kind": "discount", "value": "SUMMER", "cost_of_one": 5.0}
REDEEMING = 7  # of so many customers one redeems what they got

# As the sandbox has them set: the templates of the nightly campaign may be had every night.
STATED: dict[str, TemplateRules] = {
    f"Optimove_ClubNight_{platform}": TemplateRules(again_after_s=0) for platform in ("iOS", "Android")
}


def run_demo(folder: Path | None, *, say: Callable[[str], None]) -> tuple[NightSummary, Path]:
    """Makes a workspace and runs one night on it; returns the night's summary and the folder.

    Of a demo that Ctrl-C ends nothing stays, so that the same command begins anew.

    Args:
        folder: a new or empty folder; a temporary one when left out.
        say: told each step.
    """
    root = _new_folder(folder)
    start = datetime.combine(RUN_DATE, time(2), tzinfo=load_settings(shared(f"data/{FILE_NAME}")).zone)
    with _whole_or_gone(root), Sandbox(demo_world(), journal=root / JOURNAL, now=start) as sandbox:
        say(f"sandbox   {sandbox.url}")
        settings = demo_settings(sandbox.url)
        init_workspace(root, settings=settings)
        copy_tree(shared(f"data/sample/{RUN_DATE}"), root / "inbox" / RUN_DATE.isoformat())
        say(f"workspace {root}")
        with environment({**KEYS, NOW: start.isoformat(), "OPTINB_USER": SCHEDULER}):
            with open_workspace(root, user=AUTHOR) as author:
                say(f"import    {author.import_delivery(RUN_DATE).version}")
                author.model(RUN_DATE)
                author.templates.sync()
                state_templates(author)
                for name, rule in GROUPS.items():
                    say(f"group     {name}: {author.groups.save(name, rule).sentence}")
                for campaign in (_offering(CAMPAIGNS[0]), *CAMPAIGNS[1:]):
                    author.campaigns.submit(campaign)
            with open_workspace(root, user=APPROVER) as approver:
                for campaign in CAMPAIGNS:
                    seen = approver.campaigns.preview(campaign["name"])
                    approver.campaigns.approve(campaign["name"], seen=seen)
                    say(f"approved  {campaign['name']} by {APPROVER}")
                    if seen.offer_cost is not None:
                        say(f"cost      {seen.offer_cost.sentence()}")
            say("night     papermill runs notebooks/nightly_send.ipynb …")
            summary = run_night(root, RUN_DATE)
    return summary, root


def start(folder: str | Path | None = None) -> Workspace:
    """A workspace to try things out in: the sample, imported and modelled, with a sandbox of Appboy beside it.

    It is opened as the author of campaigns, on the night of its newest delivery; the sandbox runs as long as this
    program.

    Args:
        folder: where to keep it; one that an earlier call made is opened again. A temporary one when left out.
    """
    root = Path(folder).expanduser().resolve() if folder else None
    is_known = root is not None and (root / FILE_NAME).is_file()
    root = root if root is not None and is_known else _new_folder(root)
    zone = load_settings(shared(f"data/{FILE_NAME}")).zone
    newest = begins_at(root, load_settings(root / FILE_NAME)) if is_known else None
    now = newest or datetime.combine(RUN_DATE, time(2), tzinfo=zone)
    with ExitStack() as stack:
        # approvals are of an address too: where it can, the sandbox of a folder listens where it did
        known = load_settings(root / FILE_NAME).app_groups[0].api if is_known else ""
        sandbox = start_sandbox(stack, root, urlsplit(known).port or 0, now)
        stack.enter_context(environment({**KEYS, NOW: now.isoformat(), "OPTINB_USER": SCHEDULER}))
        settings = demo_settings(sandbox.url)
        if is_known:
            (root / FILE_NAME).write_text(settings, encoding="utf-8")
        else:
            init_workspace(root, settings=settings)
            copy_tree(shared(f"data/sample/{RUN_DATE}"), root / "inbox" / RUN_DATE.isoformat())
        ws = stack.enter_context(open_workspace(root, user=AUTHOR))
        # an earlier call may have been ended anywhere
        if ws.warehouse.current is None:
            ws.import_delivery(ws.today())
        if ws.snapshot().model_date is None:
            ws.model(ws.snapshot().import_date)
        for name in GROUPS.keys() - {group.name for group in ws.groups.list()}:
            ws.groups.save(name, GROUPS[name])
        ws.templates.sync()
        state_templates(ws)
        install()  # as opening a workspace does in a notebook
        atexit.register(stack.pop_all().close)
    return ws


def state_templates(ws: Workspace) -> None:
    """States of the imported templates what the sandbox's dashboard has set, where nobody has stated anything yet.

    Args:
        ws: one that talks to a sandbox with the demo's world.
    """
    stated = ws.templates.stated()
    for template in ws.templates.list():
        if template.name in STATED and (template.app_group_id, template.id) not in stated:
            ws.templates.set_rules(template.app_group_id, template.id, STATED[template.name])


def campaign(ws: Workspace) -> dict[str, Any]:
    """The first campaign of the trial, to be planned; where an earlier call sent it, a copy under another name."""
    taken = {record.campaign.name for record in ws.campaigns.list(archived=True) if not may(record.state, "submit")}
    first = CAMPAIGNS[0]["name"]
    names = (first if number == 1 else f"{first} {number}" for number in count(1))
    date = {"schedule": {"date": ws.today(), "at": "18:30"}}
    return {**_offering(CAMPAIGNS[0]), **date, "name": next(name for name in names if name not in taken)}


def second_person(ws: Workspace) -> Workspace:
    """The same workspace as another person opens it, who may approve what the author has submitted."""
    return open_workspace(ws.root, user=APPROVER)


def night(ws: Workspace) -> NightSummary:
    """Runs the night of a workspace that `start` made: what is approved goes to the sandbox."""
    return run_night(ws.root, ws.today())


def next_morning(ws: Workspace) -> Workspace:
    """The same workspace as its author opens it a day later, with the shop's next delivery imported and modelled.

    By that delivery some customers have redeemed the offers of the night, which is made up as all of the sample is.
    """
    day = ws.snapshot().import_date + timedelta(days=1)
    inbox, now = ws.root / "inbox" / day.isoformat(), datetime.combine(day, time(2), tzinfo=ws.settings.zone)
    with tempfile.TemporaryDirectory() as made:
        write_sample(Path(made), run_date=RUN_DATE, nights=(day - RUN_DATE).days + 1)
        copy_tree(Path(made) / day.isoformat(), inbox)
    redeemed_of(ws, day - timedelta(days=1)).write_csv(inbox / "redemptions.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    os.environ[NOW] = now.isoformat()  # until `start` takes it back
    later = open_workspace(ws.root, user=AUTHOR)
    later.import_delivery(day)
    later.model(day)
    return later


def redeemed_of(ws: Workspace, night: date) -> pl.DataFrame:
    """What customers redeem of the offers that they got in a night: one in seven, within two hours of the message.

    Args:
        ws: one of the sample, whose customers have numbers for ids.
        night: the one whose offers are redeemed.

    Returns:
        a frame with redeemed_at (UTC), offer and customer_id, as a delivery has them.
    """
    number = pl.col("customer_id").cast(pl.Int64)
    parts = [pl.DataFrame(schema={"redeemed_at": pl.Datetime("us"), "offer": pl.String, "customer_id": pl.String})]
    for record in ws.campaigns.list():
        summary = ws.redemptions.summary(record.campaign.name)
        got = ws.redemptions.given(record.campaign.name).filter(pl.col("night") == night, number % REDEEMING == 0)
        if summary is not None:
            at = pl.col("since") + pl.duration(minutes=number % 120)
            parts.append(got.select(redeemed_at=at, offer=pl.lit(summary.offer), customer_id="customer_id"))
    return pl.concat(parts).sort("redeemed_at", "customer_id")


def demo_settings(api: str) -> str:
    """The committed example settings, for a sandbox at `api` and people who say who they are."""
    text = shared(f"data/{FILE_NAME}").read_text(encoding="utf-8")
    return (
        text.replace("http://127.0.0.1:8021", api)
        .replace('identity = "login"   ', 'identity = "asserted"')
        .replace('["campaign-approver"]', f'["{APPROVER}"]')
    )


def _offering(campaign: dict[str, Any]) -> dict[str, Any]:
    """A campaign whose code is what it offers."""
    return {**campaign, "offer": OFFER, "properties": {**campaign["properties"], "promo_code": {"offer": "value"}}}


def _new_folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="optinb-demo-"))
    folder = folder.expanduser().resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} isn't empty; give the demo a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} can't be made: {error.strerror}; give the demo another folder") from error
    return folder


@contextmanager
def _whole_or_gone(folder: Path) -> Iterator[None]:
    """Removes a folder that was new or empty when Ctrl-C ends what fills it; after an error it can be looked at."""
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
