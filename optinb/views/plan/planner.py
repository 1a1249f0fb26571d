"""The campaign board: a marketer chooses app group, template, target group, offer and time, and sees who gets what.

What is written is kept as a draft; nothing that matters is lost with the kernel or the browser.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from optinb.appboy import needed_properties
from optinb.base.settings import PLATFORMS
from optinb.campaigns import Schedule, checklist, id_of, lack_of, what_is_missing
from optinb.campaigns.part_words import offer_words
from optinb.errors import CampaignError, OptinbError
from optinb.planning.readiness import as_far_as_messages, lacks_found_by_counting
from optinb.planning.trial_sends import in_words
from optinb.show.campaigns import audience, message
from optinb.show.pages import fragment
from optinb.views.controls import choose
from optinb.views.debounce import Debounce, LatestOnly, every
from optinb.views.plan.board import Board
from optinb.views.plan.finish import Finish
from optinb.views.plan.keeper import AT_WORK, Keeper
from optinb.views.plan.offers_view import OffersFold
from optinb.views.plan.statement import StatedByTemplate
from optinb.views.plan.talk import Talk
from optinb.views.plan.words import NO_CODES, named, suggested_name
from optinb.views.typed import after_typing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optinb.appboy import Template
    from optinb.base.settings import Platform
    from optinb.campaigns import CampaignRecord, Lack, Power
    from optinb.planning import CampaignPreview
    from optinb.workspace import Workspace

SAMPLES = 20
LOOK_AGAIN_S = 2.0
PAUSE_S = 0.15  # of somebody who types, before the audience is counted
COUNTING = '<div class="ob-counting">counting …</div>'
NEW = "New campaign"
ONLY = "Chosen because there is no other one."
LATER = ("name",)  # what a campaign may lack while its audience is counted


class Planner(Board):
    """The board at work. Its controls are attributes, so that tests and other views can use them."""

    def __init__(self, ws: Workspace, *, is_alone: bool = True) -> None:
        """Args: `is_alone`: whether the planner stands beside no tab in which a target group can be built."""
        self._ws = ws
        self._groups_are_built = "in explore_segments.ipynb" if is_alone else "under Groups above"
        self._templates: dict[str, Template] = {}
        self._preview: CampaignPreview | None = None
        self._at, self._version = 0, ws.warehouse.current
        self._platforms: list[Platform] = []  # of the app group
        self._suggested = ""
        self._tomorrow = str(ws.today() + timedelta(days=1))
        self._counting, self._measuring = LatestOnly(), LatestOnly()
        self._count_soon = Debounce(self._count, pause_s=PAUSE_S)
        self._ready = False  # until the controls are there
        self.keeper = Keeper(ws, fields=self.fields, load=self._load, restore=self._restore, saved=self._list)
        self.talk = Talk(ws)
        self.statements = StatedByTemplate(ws, changed=self._refresh)
        self.offers = OffersFold(ws, chosen=lambda: self.offer.saved.value, changed=self._offers_changed)
        self.finish = Finish(ws, fields=self.fields)
        self.submit, self.result = self.finish.submit, self.finish.result
        self._lacks: tuple[Lack, ...] = ()
        super().__init__(
            zone=ws.settings.workspace.time_zone,
            tomorrow=self._tomorrow,
            app_groups=[group.name for group in ws.settings.app_groups],
            attributes=self._attributes(),
            keeper=self.keeper,
            statements=self.statements,
            offers=self.offers,
            finish=self.finish,
            talk=self.talk,
        )
        self.properties.labels = ws.settings.labels
        self._ready = True
        self._observe()
        self._open(self._begun_last())
        every(LOOK_AGAIN_S, self._look_again)

    def fields(self) -> dict[str, Any]:
        """The campaign that the controls describe, as in a `campaign.toml`."""
        return self.form.read() if self._ready else {}

    def _begun_last(self) -> CampaignRecord | None:
        """What its writer wrote in last: a draft, or a new campaign that isn't one yet."""
        unsaved = self._ws.unsaved
        if (at_work := unsaved.get(AT_WORK)) is not None:
            record = self._ws.store.campaigns.find(at_work.body) if at_work.body else None
            is_there = not at_work.body if record is None else not record.archived
            if is_there and unsaved.get(self.keeper.key_of(record)) is not None:
                return record
        return self._ws.drafts.mine()

    def _observe(self) -> None:
        self.form.changed = self._changed
        self.form.follows = {
            "app_group": self._offer_templates,
            "template": self._ask_for_properties,
            "templates": self._ask_for_properties,
            "variants": self._ask_for_properties,
            "group": self._describe_group,
        }
        self.campaign.observe(lambda change: self._choose(change.new), "value")
        self.by_platform.observe(lambda _: self._split(), "value")
        self._arrange_templates()
        self.twins.take = self._take_twins
        self.sync.on_click(lambda _: self._sync())
        self.previous.on_click(lambda _: self._show_message(self._at - 1))
        self.next.on_click(lambda _: self._show_message(self._at + 1))
        self.submit.on_click(lambda _: self._submit())

    def _attributes(self) -> list[str]:
        if self._ws.warehouse.current is None:
            return []
        return [name for name in self._ws.customers().collect_schema() if name != "customer_id"]

    def _choose(self, chosen: str) -> None:
        """Opens the chosen campaign, once what was written of the one before is heard and saved."""
        if not self.form.is_quiet:
            after_typing(self.campaign, lambda: self._turn_to(chosen))

    def _turn_to(self, chosen: str) -> None:
        if chosen != self._own_id:
            self.keeper.save()
            self._open(self._ws.store.campaigns.find(chosen) if chosen else None)

    def _open(self, record: CampaignRecord | None) -> None:
        self.result.say("")
        self.keeper.turn_to(record)
        self.keeper.pick_up()
        self._list()
        self.talk.show(self.keeper.record)

    @property
    def _own_id(self) -> str:
        """The id of the campaign that is open; empty for a new one."""
        return self.keeper.record.id if self.keeper.record else ""

    def _load(self, record: CampaignRecord | None) -> None:
        """Sets all controls to a campaign, or to those of a new one."""
        with self.form.quiet():
            self._offer_what_is_saved(record.campaign.codes if record else None)
            self._suggested = ""
            if record is None:
                self._show({"control": self._ws.settings.policy.control, "properties": None})
            else:
                plan = record.campaign
                template = next(iter(plan.template_names), None)
                follows = record.state == "draft" and plan.name.startswith(suggested_name(plan.group, template))
                self._suggested = plan.name if follows else ""
                self._show(msgspec.to_builtins(plan))
        self._refresh()

    def _show(self, fields: dict[str, Any]) -> None:
        """Sets the controls, of which those for templates depend on how they are chosen."""
        self.by_platform.value = bool(fields.get("templates"))
        self._arrange_templates()
        self.form.show(fields)

    def _split(self) -> None:
        """One template for all phones, or one for each kind: what was chosen of either stays with it."""
        if not self.form.is_quiet:
            self._arrange_templates()
            self._ask_for_properties()
            self._changed()

    def _arrange_templates(self) -> None:
        self.form.hide("template", is_hidden=self.by_platform.value)
        self.form.hide("templates", is_hidden=not self.by_platform.value)

    def _restore(self, fields: dict[str, Any]) -> None:
        """Sets all controls to what they held once, whole or not."""
        with self.form.quiet():
            self._show(fields)
        self._refresh()

    def show_campaign(self, name: str) -> None:
        """Opens a campaign by its name, once what was written of the one before is saved.

        Args:
            name: without regard to case.

        Raises:
            CampaignError: with the nearest name, for a campaign that isn't known.
        """
        record = self._ws.campaigns.get(name)
        self._list(record)
        self.campaign.value = record.id

    def plan_for(self, group: str) -> None:
        """Begins a new campaign for a saved target group, once what was written of the one before is saved.

        Args:
            group: its name.
        """
        if self.keeper.record is not None:
            self.keeper.save()
            self._open(None)
        self._offer_what_is_saved(self.offer.codes.value)
        self.group.value = group

    def _list(self, also: CampaignRecord | None = None) -> None:
        """Offers what may be worked on, with the one that is open chosen."""
        options = [(NEW, "")]
        open_ones = {r.id: r for r in self._ws.drafts.open()}
        open_ones |= {r.id: r for r in (also, self.keeper.record) if r is not None}  # one that is over can be looked at
        options += [(f"{r.campaign.name} ({r.state}, {r.author})", r.id) for r in open_ones.values()]
        if list(self.campaign.options) != options or self.campaign.value != self._own_id:
            with self.form.quiet():
                choose(self.campaign, options, keep=self._own_id)

    def _offer_what_is_saved(self, own: str | None) -> None:
        """Offers the groups, offers and pools of codes that there are, also the `own` pool of the offer."""
        self.form.choices("group", [group.name for group in self._ws.groups.list()])
        self.offer.offer_saved({one.offer.name: offer_words(one.offer) for one in self._ws.offers.list()})
        pools = dict.fromkeys([*(pool.name for pool in self._ws.codes.list()), *([own] if own else [])])
        self.offer.choices("codes", [(NO_CODES, None), *((f"One each, from {pool}", pool) for pool in pools)])

    def _offers_changed(self) -> None:
        """A saved offer was changed beside the form."""
        self._offer_what_is_saved(self.offer.codes.value)
        self._refresh()

    def _offer_templates(self) -> None:
        """Offers the usable templates of the chosen app group, and says why the others are not usable."""
        found = self._ws.templates.list(self.app_group.value) if self.app_group.value else ()
        called = named(found)
        self._templates = {called[t.id]: t for t in found if t.id in called}
        others = [t for t in found if not t.usable]
        self.about_app_group.say(ONLY if self.form.is_only("app_group") else "")
        if not self.app_group.value:
            self.about_templates.say("")
        elif not found:
            self.about_templates.say(
                "No template of this app group is imported yet. Import templates reads them from Appboy.", kind="bad"
            )
        else:
            self.about_templates.show(fragment("template_list.html.j2", "unusable", others))
        app_group = self._ws.settings.app_group(self.app_group.value) if self.app_group.value else None
        platforms: list[Platform] = [one for one in PLATFORMS if app_group and one in app_group.platforms()]
        self._platforms = platforms
        self.by_platform.layout.display = "" if len(platforms) > 1 else "none"
        for part in (self.templates, self.variants):
            part.offer(self._templates, platforms)
        self.form.choices("template", list(self._templates))

    def _chosen_templates(self) -> list[str]:
        """The templates of all messages, by their names in the campaign."""
        campaign = as_far_as_messages(self.fields())
        return [name for name in campaign.template_names if name in self._templates] if campaign else []

    def _ask_for_properties(self) -> None:
        fields, names = self.fields(), self._chosen_templates()
        chosen = [self._templates[name] for name in names]
        needed = {one.name: one for template in chosen for one in needed_properties(template)}
        notes = [f"{note[:1].upper()}{note[1:]}" for template in chosen for note in template.notes]
        only = ONLY if self.form.is_only("template") and not self.by_platform.value else ""
        self.about_template.show(fragment("chosen_templates.html.j2", "chosen", [*map(in_words, chosen)], only, notes))
        self.statements.show(chosen)
        own = [fields["template"]] if fields.get("template") else list(fields.get("templates", {}).values())
        self.variants.ask_for(own)
        self.form.hide("learning", is_hidden=not fields.get("variants"))
        self.twins.offer(None if self.by_platform.value else self.template.value, self._templates, self._platforms)
        needed = tuple(needed.values())
        self.about_properties.title("What the message says" if needed else "")
        self.about_properties.layout.display = "" if needed else "none"
        self.properties.ask_for(needed)

    def _take_twins(self, templates: dict[Platform, str]) -> None:
        """Sends each kind of phone a template of its own."""
        with self.form.quiet():
            self.by_platform.value = True
            self.templates.show(templates)
        self._split()

    def _look_again(self) -> bool:
        """Offers what was saved meanwhile, and tells of changes by others; false once the planner is closed."""
        if self.comm is None:
            self.talk.leave()
            return False
        with suppress(OptinbError):
            self._offer_what_is_saved(self.offer.codes.value)
            self.keeper.look()
            self._list()
            self.talk.show(self.keeper.record, is_writing=self.keeper.is_dirty or self.keeper.has_begun)
            if self.statements.look():
                self._refresh()
            if self._ws.warehouse.current != self._version:
                self._version = self._ws.warehouse.current
                self.properties.learn(self._attributes())
                self.variants.learn(self._attributes())
                self._refresh()
        return True

    def _describe_group(self) -> None:
        if self.group.value is not None:
            only = f"{ONLY} " if self.form.is_only("group") else ""
            self.about_group.say(f"{only}{self._ws.groups.get(self.group.value).sentence}")
        elif len(self.group.options) < 2:
            self.about_group.say(f"No target group is saved yet; save one {self._groups_are_built}.", kind="bad")
        else:
            self.about_group.say("")

    def _suggest_name(self) -> None:
        """Names the campaign until somebody writes a name."""
        if self.name.value != self._suggested:
            return
        taken = [r.campaign.name for r in self._ws.campaigns.list() if r.id != self._own_id]
        self._suggested = suggested_name(self.group.value, next(iter(self._chosen_templates()), None), taken=taken)
        with self.form.quiet():
            self.name.value = self._suggested

    def _changed(self) -> None:
        """Something was changed by hand."""
        self._refresh()
        self.keeper.changed()

    def _refresh(self) -> None:
        """Takes the old figures away at once, and counts when the one who types has paused."""
        self._preview = None
        self._counting.forget()
        self._measuring.forget()
        self.audience.show(COUNTING)
        self.power.show("")
        self._suggest_name()
        self._check()
        self._describe_timing()
        self._count_soon()

    def _check(self) -> None:
        """Says what the campaign lacks, each thing at its own field, too."""
        fields = self.fields()
        self._lacks = self._ws.campaigns.lacking(fields)
        if self.name.value:
            try:
                if self.keeper.record is None or id_of(self.name.value) != self.keeper.record.id:
                    self._ws.drafts.check_free(self.name.value)
            except CampaignError as error:
                self._lacks = (*self._lacks, lack_of(error))
        self._say_lacks(self._lacks)

    def _say_lacks(self, lacks: Sequence[Lack]) -> None:
        self.form.mark({lack.field: lack.words for lack in lacks if lack.field and not lack.is_missing})
        self.finish.show(lacks)

    def _describe_timing(self) -> None:
        self.sentence.say("")
        with suppress(msgspec.ValidationError):
            schedule = msgspec.convert(self.fields()["schedule"], Schedule)
            self.sentence.say(f"Goes out {schedule.sentence()}.")

    def _count(self) -> None:
        """Has the audience counted, in a thread, so that one can go on writing."""
        fields = self.fields()
        if before := [lack for lack in checklist(fields) if lack.field not in LATER]:
            self.audience.say(f"It is counted here as soon as it can be. {what_is_missing(before)}")
            self._show_no_message()
            return
        self._counting.ask(lambda: self._ws.campaigns.preview(fields, samples=SAMPLES), self._counted)

    def _counted(self, found: CampaignPreview | Exception) -> None:
        self.statements.refuse("" if isinstance(found, Exception) else found.refused)
        self._say_lacks((*self._lacks, *lacks_found_by_counting(found)))
        if isinstance(found, OptinbError):
            self.audience.say(str(found), kind="bad")
            self._show_no_message()
        elif isinstance(found, Exception):
            self.audience.say("The audience couldn't be counted; see the log of the notebook.", kind="bad")
            raise found
        else:
            self._preview = found
            self.audience.show(audience(found, self._ws.settings.zone), role="status")
            self._show_message(self._at)
            self._measuring.ask(lambda: self._ws.campaigns.power(found), self._measured)

    def _measured(self, found: Power | Exception | None) -> None:
        """What the test against the control group could see; it reads purchases, and comes after the count."""
        if isinstance(found, Exception):
            self.power.say("What this test can detect couldn't be worked out.", kind="bad")
        else:
            self.power.show(fragment("audience.html.j2", "power", found))

    def _show_no_message(self) -> None:
        self.walk.layout.display = "none"
        self.message.say("It shows here once the audience can be counted.")

    def _show_message(self, at: int) -> None:
        sample = self._preview.sample if self._preview else ()
        self.walk.layout.display = "" if len(sample) > 1 else "none"
        if self._preview is None or not sample:
            self.message.say("Nobody would get this message, so there is no customer to show it for.")
            return
        self._at = at % len(sample)
        self.message.show(message(self._preview, self._at))

    def _sync(self) -> None:
        self.about_templates.say("Reading the templates from Appboy …")
        problems = [sync.problem for sync in self._ws.templates.sync(self.app_group.value) if sync.problem]
        self._offer_templates()
        self._offer_what_is_saved(self.offer.codes.value)
        for problem in problems:
            self.about_templates.say(problem, kind="bad")

    def _submit(self) -> None:
        if self.keeper.look():
            self.result.say("Somebody else changed this campaign; choose above which version is to count.", kind="bad")
            return
        self.keeper.save()
        self._check()
        if self._lacks:
            self.result.say(what_is_missing(self._lacks), kind="bad")
            return
        with self.result.saying_errors():
            campaign = self._ws.campaigns.read(self.fields())
            if campaign.id != self._own_id:
                self._ws.drafts.check_free(campaign.name)
            record = self._ws.campaigns.submit(campaign)
            self.keeper.submitted(record)
            self._list()
            self.talk.show(record)
            self.finish.submitted(record)
