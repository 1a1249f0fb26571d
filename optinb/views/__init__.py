"""What notebooks show: widgets, tables and charts. No rule of the business lives here, only calls on the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optinb.show.registry import install

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from IPython.display import HTML

    from optinb.rules import Rule
    from optinb.views.calendar_view import Calendar
    from optinb.views.delivery_view import DeliveryView
    from optinb.views.desk import ApprovalDesk
    from optinb.views.editor.editor import RuleEditor
    from optinb.views.explore.answers import (
        CompareView,
        CustomerView,
        MigrationView,
        OverlapView,
        SizesView,
        TakesValues,
    )
    from optinb.views.explore.discover import DiscoverView
    from optinb.views.news_view import NewsView
    from optinb.views.plan.offers_view import OffersView
    from optinb.views.plan.planner import Planner
    from optinb.views.results_view import ResultsView
    from optinb.views.sends_view import Monitor
    from optinb.views.workbench_view import Workbench
    from optinb.workspace import Workspace

__all__ = [
    "approval_desk",
    "attributes",
    "calendar",
    "campaigns",
    "compare",
    "customer",
    "delivery",
    "discover",
    "install",
    "micro_segments",
    "migration",
    "monitor",
    "news",
    "offers",
    "overlap",
    "page",
    "planner",
    "reached",
    "results",
    "rule_editor",
    "sdk_rollout",
    "sent",
    "sizes",
    "stages",
    "stages_over_time",
    "workbench",
]


def page(view: Callable[[Workspace], Any], workspace: str | Path | None = None, *, user: str | None = None) -> Any:
    """A view of a workspace for a page without code; what is wrong with the workspace is said there.

    Args:
        view: what makes it of the workspace, such as `views.workbench`.
        workspace: its folder; OPTINB_WORKSPACE or `data` when left out.
        user: who is working; only where the settings say `identity = "asserted"`.
    """
    from optinb.errors import OptinbError
    from optinb.views.tables import notice
    from optinb.workspace import open_workspace

    install()
    try:
        return view(open_workspace(workspace, user=user))
    except OptinbError as error:
        return notice(str(error))


def workbench(ws: Workspace, query: str | None = None) -> Workbench:
    """All of the campaign work with tabs: target groups, plan, approval, calendar, sends and results.

    Args:
        ws: the workspace that is worked on; drafts, submissions and decisions are its user's.
        query: what it opens first, as in the address of a page, such as `?tab=approve&campaign=Summer`; what the page
            that shows it was opened with, or else the plan, when left out.
    """
    from optinb.views.workbench_view import Workbench

    return Workbench(ws, query)


def planner(ws: Workspace) -> Planner:
    """The form in which a marketer plans a campaign, sees who would get which message, and submits it.

    Args:
        ws: the workspace that keeps the campaigns; drafts and submissions are its user's.
    """
    from optinb.views.plan.planner import Planner

    return Planner(ws)


def offers(ws: Workspace) -> OffersView:
    """The saved offers, and the form in which one is written and changed.

    Args:
        ws: the workspace that keeps them; what is saved is its user's.
    """
    from optinb.views.plan.offers_view import OffersView

    return OffersView(ws)


def calendar(ws: Workspace) -> Calendar:
    """What goes out on each day of the coming weeks.

    Args:
        ws: the workspace whose campaigns are looked at.
    """
    from optinb.views.calendar_view import Calendar

    return Calendar(ws)


def monitor(ws: Workspace) -> Monitor:
    """How far a night's sends are, live, and a recall.

    Args:
        ws: the workspace that sends.
    """
    from optinb.views.sends_view import Monitor

    return Monitor(ws)


def approval_desk(ws: Workspace) -> ApprovalDesk:
    """What waits for a decision, with approve and reject.

    Args:
        ws: the workspace that keeps the campaigns; decisions are its user's.
    """
    from optinb.views.desk import ApprovalDesk

    return ApprovalDesk(ws)


def delivery(ws: Workspace) -> DeliveryView:
    """What is published and what waits in the inbox, with a button that imports and models it while one works on.

    Args:
        ws: the workspace that gets the deliveries.
    """
    from optinb.views.delivery_view import DeliveryView

    return DeliveryView(ws)


def rule_editor(ws: Workspace, rule: Rule | str | None = None, *, group: str | None = None) -> RuleEditor:
    """The editor of target groups: begins with a rule, or with a saved group by name, or with an empty line.

    Args:
        ws: the workspace whose data is asked and that keeps the groups.
        rule: what it begins with, as a rule or as text.
        group: the name of the saved group that it begins with.

    Raises:
        RuleError: for a rule that can't be read, or a group that isn't saved.
    """
    from optinb.views.editor.editor import RuleEditor

    return RuleEditor(ws, rule=rule, group=group)


def compare(ws: Workspace, *, editor: TakesValues | None = None) -> CompareView:
    """What makes a saved group different from everybody else, or from another group.

    Args:
        ws: the workspace whose groups are offered.
        editor: a rule editor, to whose rule a click on values adds a condition; without one, they can't be clicked.
    """
    from optinb.views.explore.answers import CompareView

    return CompareView(ws, editor=editor)


def overlap(ws: Workspace) -> OverlapView:
    """How many customers are in each combination of saved groups.

    Args:
        ws: the workspace whose groups are offered.
    """
    from optinb.views.explore.answers import OverlapView

    return OverlapView(ws)


def sizes(ws: Workspace) -> SizesView:
    """How large saved groups were on the newest nights, as their rules are today.

    Args:
        ws: the workspace whose groups are offered.
    """
    from optinb.views.explore.answers import SizesView

    return SizesView(ws)


def discover(ws: Workspace) -> DiscoverView:
    """Groups in which something is high, found with progress, and saved by a click.

    Args:
        ws: the workspace whose customers are searched and that keeps the groups.
    """
    from optinb.views.explore.discover import DiscoverView

    return DiscoverView(ws)


def news(ws: Workspace) -> NewsView:
    """What changed and whom to look at, by the newest night: saved by a click, or dismissed.

    Args:
        ws: the workspace whose nights are shown and that keeps the groups.
    """
    from optinb.views.news_view import NewsView

    return NewsView(ws)


def migration(ws: Workspace) -> MigrationView:
    """Who moved between lifecycle stages, value segments or micro-segments from one night to another.

    Args:
        ws: the workspace whose nights are offered.
    """
    from optinb.views.explore.answers import MigrationView

    return MigrationView(ws)


def customer(ws: Workspace, customer_id: str = "") -> CustomerView:
    """Everything about one customer, by their id.

    Args:
        ws: the workspace whose tables and nights are read.
        customer_id: whom it shows first; empty for nobody.
    """
    from optinb.views.explore.answers import CustomerView

    return CustomerView(ws, customer_id)


def micro_segments(ws: Workspace) -> HTML:
    """The micro-segments by size, value and risk.

    Args:
        ws: the workspace whose models are shown.
    """
    from optinb.views.tables import micro_segments

    return micro_segments(ws)


def stages_over_time(ws: Workspace) -> HTML:
    """How many customers were in each lifecycle stage, night by night.

    Args:
        ws: the workspace whose nights are shown.
    """
    from optinb.views.tables import stages_over_time

    return stages_over_time(ws)


def attributes(ws: Workspace) -> HTML:
    """Every attribute that rules can ask about: its kind, what it means, how often it is known, typical values.

    Args:
        ws: the workspace whose tables are read.
    """
    from optinb.views.tables import attributes

    return attributes(ws)


def campaigns(ws: Workspace) -> HTML:
    """Every campaign and where it stands.

    Args:
        ws: the workspace that keeps them.
    """
    from optinb.views.tables import campaigns

    return campaigns(ws)


def sent(ws: Workspace) -> HTML:
    """What was sent to whom on the newest nights.

    Args:
        ws: the workspace that sent it.
    """
    from optinb.views.tables import sent

    return sent(ws)


def reached(ws: Workspace) -> HTML:
    """What Appboy counted of what was sent in the last 14 days: sent, opened, bounced, by day and platform.

    Args:
        ws: the workspace that sent it; its nights read the figures, and `ws.reach_figures.read()` does.
    """
    from optinb.views.tables import reached

    return reached(ws)


def results(ws: Workspace) -> ResultsView:
    """What the campaigns that went out brought, against their control groups; of the chosen one a card.

    Args:
        ws: the workspace that sent them.
    """
    from optinb.views.results_view import ResultsView

    return ResultsView(ws)


def stages(ws: Workspace) -> HTML:
    """The customers by lifecycle stage.

    Args:
        ws: the workspace whose models are shown.
    """
    from optinb.views.tables import stages

    return stages(ws)


def sdk_rollout(ws: Workspace, *, app_group: str | None = None) -> HTML:
    """How far the Appboy SDK has come among the users of each app, night by night.

    Args:
        ws: the workspace whose nights are shown.
        app_group: name or id of the only app group to show; all of them when left out.

    Raises:
        SettingsError: for an app group that isn't known.
    """
    from IPython.display import HTML

    from optinb.show.charts import sdk_rollout
    from optinb.views.tables import NOTHING_YET, notice

    if ws.warehouse.current is None:
        return notice(NOTHING_YET)
    return HTML(sdk_rollout(ws.reach(app_group=app_group)))
