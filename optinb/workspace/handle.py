"""The one handle that notebooks, commands and tests use: `open_workspace()`."""

from __future__ import annotations

import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from optinb.campaigns import Waterfall, build_audience, waterfall
from optinb.engine import Tables, tables_of
from optinb.errors import SettingsError, UsageError
from optinb.rules import sentence
from optinb.segments import Reach, members, reach
from optinb.settings import FILE_NAME, Settings, current_user, load_settings, read_secret
from optinb.state import Store
from optinb.warehouse import ImportReport, Snapshot, Warehouse
from optinb.workspace.campaigns import Campaigns
from optinb.workspace.clock import clock_for
from optinb.workspace.groups import Groups
from optinb.workspace.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import polars as pl

    from optinb.customers import CustomerModel
    from optinb.rules import Rule

VARIABLE = "OPTINB_WORKSPACE"


class Preview(Struct, frozen=True, kw_only=True):
    """A rule on the data: exact count, share of all customers, reach by app, and the way to who could get a push."""

    sentence: str
    customers: int
    total: int
    run_date: date
    warehouse_version: int
    app_group: str | None
    reach: Reach
    waterfall: Waterfall

    @property
    def share(self) -> float:
        """The group's share of all customers, 0 to 1."""
        return self.customers / self.total if self.total else 0.0


class Workspace:
    """A workspace on disk, opened by somebody.

    Attributes: `root`, `settings`, `user`, and what it is made of: `groups`, `templates`, `campaigns`, `warehouse`,
    `store`.
    """

    def __init__(self, root: Path, settings: Settings, *, user: str, clock: Callable[[], datetime]) -> None:
        self.root, self.settings, self.user, self.now = root, settings, user, clock
        self.warehouse = Warehouse(root, settings)
        self.groups = Groups(self)
        self.templates = Templates(self)
        self.campaigns = Campaigns(self)
        self._snapshot: Snapshot | None = None

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r}, user={self.user!r})"

    @cached_property
    def store(self) -> Store:
        """Campaigns, approvals, deliveries and the audit trail."""
        state = self.settings.workspace.state
        if state is None:
            return Store.open(self.root / "state.sqlite")
        return Store.open(read_secret(state) if state.startswith(("env:", "keyring:")) else state)

    def today(self) -> date:
        """The date in the workspace's time zone."""
        return self.now().astimezone(self.settings.zone).date()

    def snapshot(self) -> Snapshot:
        """The published version of the warehouse; opened again when a newer one has been published."""
        current = self.warehouse.current
        if self._snapshot is None or self._snapshot.version != current:
            if self._snapshot is not None:
                self._snapshot.close()
            self._snapshot = self.warehouse.open()
        return self._snapshot

    def tables(self, run_date: date | None = None) -> Tables:
        """What rules read, as of a night (the date of the published delivery, when none is given)."""
        snapshot = self.snapshot()
        return tables_of(snapshot, run_date=run_date or snapshot.import_date, zone=self.settings.zone)

    def customers(self) -> pl.LazyFrame:
        """Every customer with profile, attributes and features: one row each."""
        return self.tables().customers.to_native()

    def import_delivery(self, run_date: date | None = None, *, accept_anyway: str | None = None) -> ImportReport:
        """Checks and publishes the delivery `inbox/<run_date>`. Raises GateError when a gate blocks it."""
        return self.warehouse.import_delivery(
            run_date or self.today(), now=self.now(), accept_anyway=accept_anyway, user=self.user
        )

    def model(self, run_date: date | None = None) -> CustomerModel:
        """Features, lifecycle stage and value of every customer, published as the next version."""
        from optinb.customers import model_customers

        snapshot = self.snapshot()
        run_date = run_date or snapshot.import_date
        if run_date < snapshot.import_date:
            raise UsageError(
                f"the published delivery is of {snapshot.import_date}; customers can't be modelled for the earlier "
                f"{run_date}: leave --date out"
            )
        model = model_customers(
            snapshot.table("customers"),
            snapshot.scan("transactions"),
            snapshot.table("app_users"),
            run_date=run_date,
            settings=self.settings.lifecycle,
            time_zone=self.settings.workspace.time_zone,
        )
        self.warehouse.publish({"features": model.table}, model_date=run_date, history=model.history)
        return model

    def preview(self, rule: Rule | str, *, app_group: str | None = None) -> Preview:
        """A rule, or a saved group by name, on the data.

        Reach and waterfall look at the apps of `app_group`, or at all apps when none is named.
        """
        tree = self.groups.rule(rule)
        tables = self.tables()
        group = self.settings.app_group(app_group) if app_group else None
        apps = group.apps if group else tuple(a for g in self.settings.app_groups for a in g.apps)
        found = members(tree, tables).to_native().collect()
        customers, app_users = tables.customers.to_native(), tables.app_users.to_native()
        return Preview(
            sentence=sentence(tree),
            customers=found.height,
            total=self.snapshot().table("customers").select("customer_id").collect().height,
            run_date=tables.run_date,
            warehouse_version=self.snapshot().version,
            app_group=group.name if group else None,
            reach=reach(found.lazy(), app_users, apps),
            waterfall=waterfall(build_audience(found.lazy(), customers, app_users, apps=apps)),
        )

    def members(self, rule: Rule | str) -> pl.DataFrame:
        """The customers of a rule or saved group, with all their attributes, sorted by customer_id."""
        tables = self.tables()
        found = members(self.groups.rule(rule), tables).to_native()
        return tables.customers.to_native().join(found, on="customer_id", how="semi").sort("customer_id").collect()

    def close(self) -> None:
        """Gives back files and connections."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
        if "store" in self.__dict__:
            self.store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def workspace_folder(folder: str | Path | None = None) -> Path:
    """The folder of a workspace: as given, from OPTINB_WORKSPACE, or `data`."""
    return Path(folder or os.environ.get(VARIABLE) or "data").expanduser()


def open_workspace(folder: str | Path | None = None, *, user: str | None = None) -> Workspace:
    """Opens a workspace.

    Args:
        folder: where its `optinb.toml` lies; OPTINB_WORKSPACE or `data` when left out.
        user: who is working; only where the settings say `identity = "asserted"`.

    Raises SettingsError naming line, value and remedy.
    """
    root = workspace_folder(folder).resolve()
    settings = load_settings(root / FILE_NAME)
    if user is not None and settings.workspace.identity != "asserted":
        raise SettingsError(
            f'the user can\'t be given as {user!r}: identity is "{settings.workspace.identity}" in {FILE_NAME}, so the '
            "login says who is working"
        )
    return Workspace(root, settings, user=user or current_user(settings), clock=clock_for(settings))
