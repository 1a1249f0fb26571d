"""Templates of a workspace: the API-triggered push campaigns of its app groups, as last imported."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from optinb.appboy.client import AppboyClient
from optinb.appboy.live_content import with_live_content
from optinb.appboy.template_changes import TemplateNews
from optinb.appboy.template_rules import UNSTATED, StatedRules, TemplateRules, checked_rules
from optinb.appboy.template_store import TemplateStore, TemplateSync
from optinb.appboy.templates import Template, fetch_templates, fitted
from optinb.errors import AppboyError, CampaignError, SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from optinb.appboy.statements import Statements
    from optinb.base.context import Context
    from optinb.base.settings import AppGroupSettings
    from optinb.store.runs import Runs


class GroupSync(Struct, frozen=True, kw_only=True):
    """What importing the templates of one app group brought.

    Attributes:
        app_group: its name.
        app_group_id: its id in the settings.
        result: what came; None where nothing did.
        problem: why nothing came; empty where something did.
    """

    app_group: str
    app_group_id: str
    result: TemplateSync | None = None
    problem: str = ""


class StatedTemplate(Struct, frozen=True, kw_only=True):
    """A template beside what people have stated of it.

    Attributes:
        app_group: its name.
        template: as it was last imported.
        stated: by whom and when; None where nobody has stated anything.
        follows: what follows for the campaigns on it, in sentences.
    """

    app_group: str
    template: Template
    stated: StatedRules | None
    follows: tuple[str, ...] = ()


class TemplateListing(Struct, frozen=True, kw_only=True):
    """The templates, what is stated of each, and what became of them since the newest night began.

    `stated` has a place for each of the templates, None where nobody has stated anything.
    """

    templates: tuple[Template, ...]
    news: tuple[TemplateNews, ...]
    stated: tuple[StatedRules | None, ...] = ()

    def standings(self) -> tuple[tuple[Template, StatedRules | None], ...]:
        """Each template with what is stated of it."""
        missing = (None,) * (len(self.templates) - len(self.stated))
        return tuple(zip(self.templates, (*self.stated, *missing), strict=True))


class Templates:
    """`ws.templates`: import and list templates, and state what Appboy's API doesn't tell of them."""

    def __init__(
        self,
        context: Context,
        store: TemplateStore,
        statements: Statements,
        runs: Runs,
        *,
        note_decision: Callable[[str], None] | None = None,
        follows: Callable[[Template], tuple[str, ...]] = lambda _: (),
    ) -> None:
        """States and imports.

        Args:
            context: of the workspace.
            store: of templates.
            statements: what people stated of them.
            runs: of nights.
            note_decision: is told what was stated, once that is in the database.
            follows: says for each campaign on a template what follows from what is stated of that now.
        """
        self._context, self._settings, self._store, self._runs = context, context.settings, store, runs
        self._statements, self._follows = statements, follows
        self._note_decision = note_decision

    def sync(self, app_group: str | None = None, *, fresh: Collection[str] = ()) -> tuple[GroupSync, ...]:
        """Imports the templates of one app group, or of all. A group that can't be reached doesn't stop the others.

        Args:
            app_group: name or id of the only app group; all of them when left out.
            fresh: ids of templates whose details are read in any case, since they are about to be sent; of all others
                only what changed is read.

        Returns:
            for each app group what came, or why nothing did.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        groups = self._settings.app_groups if app_group is None else (self._settings.app_group(app_group),)
        return tuple(self._sync(group, fresh) for group in groups)

    def list(self, app_group: str | None = None) -> tuple[Template, ...]:
        """The templates as last imported: usable ones, and others with what is wrong with them.

        Args:
            app_group: name or id of the only app group; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        group_id = self._settings.app_group(app_group).id if app_group else None
        groups = {group.id: group for group in self._settings.app_groups}
        found = self._store.list(group_id)
        return tuple(self._told(t, groups[t.app_group_id]) if t.app_group_id in groups else t for t in found)

    def get(self, app_group: str, name_or_id: str) -> Template:
        """One template of an app group; it may be one that can't be used.

        Args:
            app_group: its name or id.
            name_or_id: of the template. Where several share a name, the usable one is meant, if there is just one.

        Raises:
            CampaignError: with the nearest usable name, for a template that isn't known, or a name that several share.
            SettingsError: for an app group that isn't known.
        """
        group = self._settings.app_group(app_group)
        return self._told(self._store.get(group.id, name_or_id), group)

    def find(self, name_or_id: str, app_group: str | None = None) -> Template:
        """A template whose name is known in one app group alone; with an app group, as `get`.

        Args:
            name_or_id: of the template.
            app_group: name or id of its app group; it may be left out where only one has such a template.

        Raises:
            CampaignError: with the nearest usable name, for a template that isn't known, or one that several app groups
                have, or several templates of one.
            SettingsError: for an app group that isn't known.
        """
        if app_group is not None:
            return self.get(app_group, name_or_id)
        known = self.list()
        there = {t.app_group_id for t in known if name_or_id in (t.id, t.name)}
        groups = [group.name for group in self._settings.app_groups if group.id in there]
        if len(groups) == 1:
            return self.get(groups[0], name_or_id)
        if not groups:
            usable = [template.name for template in known if template.usable]
            tail = did_you_mean(name_or_id, usable) if usable else "; import them with `optinb templates sync`"
            raise CampaignError(f"template {name_or_id!r} isn't known{tail}")
        listed = ", ".join(groups)
        raise CampaignError(
            f"a template {name_or_id!r} is in several app groups ({listed}); say which one is meant: --app-group "
            f"{quote(groups[0])}, or app_group={groups[0]!r}"
        )

    def rules(self, app_group: str, name_or_id: str) -> StatedRules | None:
        """What is stated of a template, by whom and when.

        Args:
            app_group: its name or id.
            name_or_id: of the template; it may be one that can't be used.

        Returns:
            None where nobody has stated anything, or where it was taken back: then Appboy's default counts, by which a
            customer gets it once, ever.

        Raises:
            CampaignError: for a template that isn't known.
            SettingsError: for an app group that isn't known.
            StateError: when what is stored isn't what was stated.
        """
        template = self.get(app_group, name_or_id)
        return self._statements.newest(template.app_group_id, template.id)

    def rules_of(self, template: Template) -> TemplateRules:
        """The rules that are stated of a template; UNSTATED where none are.

        Args:
            template: one that `get` or `list` gave.

        Raises:
            StateError: when what is stored isn't what was stated by the audit trail; nothing may go out by it.
        """
        stated = self._statements.newest(template.app_group_id, template.id)
        return UNSTATED if stated is None else stated.rules

    def stated(self) -> dict[tuple[str, str], StatedRules]:
        """What is stated of every template of which something is, by app group id and template id."""
        return self._statements.all()

    def set_rules(self, app_group: str, name_or_id: str, changes: TemplateRules) -> StatedRules:
        """States what Appboy's dashboard has set for a template, which its API doesn't tell.

        Whatever this changes holds the approved campaigns that use the template until they are approved again.

        Args:
            app_group: its name or id.
            name_or_id: of the template; it may be one that can't be used.
            changes: what is stated now; what it doesn't name stays as it was stated before.

        Returns:
            all that is stated of it now, with what follows for each campaign on it.

        Raises:
            CampaignError: for a template that isn't known, or when nothing is stated, or what Appboy doesn't have.
            SettingsError: for an app group that isn't known.
        """
        template = self.get(app_group, name_or_id)
        checked = checked_rules(changes, template=template.name)
        if not checked:
            raise CampaignError(
                f"nothing was stated of the template {template.name!r}; say when customers may get it again, such as "
                "'any time', or one of the other rules that Appboy's dashboard shows"
            )
        stated = self._statements.state(template, checked, user=self._context.user, now=self._context.now())
        self._note(f"state the rules of the template {template.name!r}")
        return replace(stated, follows=self._follows(template))

    def withdraw_rules(self, app_group: str, name_or_id: str) -> tuple[str, ...]:
        """Takes back all that was stated of a template, so that Appboy's default counts again: once, ever.

        Args:
            app_group: its name or id.
            name_or_id: of the template; it may be one that can't be used.

        Returns:
            what follows for each campaign on it, in sentences.

        Raises:
            CampaignError: for a template that isn't known, or one of which nothing is stated.
            SettingsError: for an app group that isn't known.
        """
        template = self.get(app_group, name_or_id)
        self._statements.withdraw(template, user=self._context.user, now=self._context.now())
        self._note(f"take back the rules of the template {template.name!r}")
        return self._follows(template)

    def check_imported(self, template: Template) -> None:
        """Refuses a template that isn't stored as it was imported.

        Args:
            template: one that `get` or `list` gave.

        Raises:
            CampaignError: when what is stored differs from its last import.
        """
        if unlike := self._store.why_unlike_imported(template):
            raise CampaignError(unlike)

    def changes(self, *, since: datetime | None = None) -> tuple[TemplateNews, ...]:
        """What became of templates since a moment, the newest first.

        Args:
            since: the moment, with its offset. When left out: what the newest night found, and what came later; nothing
                before the first night.
        """
        if since is None:
            last = next((run for run in self._runs.list(limit=1)), None)
            if last is None:
                return ()
            since = last.started_at
        names = {group.id: group.name for group in self._settings.app_groups}
        found = self._store.changes(since=since)
        return tuple(replace(news, app_group=names.get(news.app_group, news.app_group)) for news in found)

    def listing(self, app_group: str | None = None) -> TemplateListing:
        """The templates, usable ones first, with the news about them.

        Args:
            app_group: name or id of the only app group; all of them when left out.

        Raises:
            SettingsError: for an app group that isn't known.
        """
        name = self._settings.app_group(app_group).name if app_group else None
        news = tuple(news for news in self.changes() if name in (None, news.app_group))
        found = sorted(self.list(app_group), key=lambda template: not template.usable)
        stated = self._statements.all()
        return TemplateListing(
            templates=tuple(found), news=news, stated=tuple(stated.get((t.app_group_id, t.id)) for t in found)
        )

    def standing(self, name_or_id: str, app_group: str | None = None) -> StatedTemplate:
        """A template beside what is stated of it, and what follows for the campaigns on it.

        Args:
            name_or_id: of the template; it may be one that can't be used.
            app_group: name or id of its app group; it may be left out where only one has such a template.

        Raises:
            CampaignError: for a template that isn't known, or a name that several share.
            SettingsError: for an app group that isn't known.
            StateError: when what is stored isn't what was stated.
        """
        template = self.find(name_or_id, app_group)
        return StatedTemplate(
            app_group=self._settings.app_group(template.app_group_id).name,
            template=template,
            stated=self._statements.newest(template.app_group_id, template.id),
            follows=self._follows(template),
        )

    def _note(self, decided: str) -> None:
        if self._note_decision is not None:
            self._note_decision(decided)

    def _told(self, template: Template, group: AppGroupSettings) -> Template:
        """A template with what these settings and its texts say about it."""
        refused = self._settings.policy.refuse_live_content
        return fitted(with_live_content(template, refused=refused), group)

    def _sync(self, group: AppGroupSettings, fresh: Collection[str]) -> GroupSync:
        known = self._store.imported(group.id)  # what somebody forged is read again
        try:
            with AppboyClient(group, timeout_s=self._settings.send.timeout_s) as client:
                found = fetch_templates(client, group, known=known, fresh=fresh)
        except (AppboyError, SettingsError) as error:
            return GroupSync(app_group=group.name, app_group_id=group.id, problem=str(error))
        result = self._store.sync(group.id, found, now=self._context.now(), user=self._context.user)
        return GroupSync(app_group=group.name, app_group_id=group.id, result=result)
