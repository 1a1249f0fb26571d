"""The people at a campaign: whom it waits for, who else has it open, and what they say about it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import ipywidgets as w

from optinb.errors import OptinbError
from optinb.show.pages import fragment
from optinb.views.controls import Pane, box, button, field, heading

if TYPE_CHECKING:
    from optinb.campaigns import CampaignRecord
    from optinb.workspace import Workspace


class Talk(w.VBox):
    """Comments on the campaign that a view shows, and the view's own presence there."""

    def __init__(self, ws: Workspace) -> None:
        super().__init__()
        self.add_class("ob-column")
        self._ws, self._presence = ws, ws.together.presence()
        self._record: CampaignRecord | None = None
        self._shown: tuple[str, str] = ("", "")
        self.people, self.comments, self.result = Pane(), Pane(), Pane()
        self.text = field(
            w.Textarea, "Comment for everybody", rows=2, placeholder="Whoever opens this campaign reads it"
        )
        self.say = button("Add comment")
        self.children = (
            heading("Comments"),
            self.people,
            self.comments,
            self.text,
            box(self.say, of="ob-buttons"),
            self.result,
        )
        self.say.on_click(lambda _: self._say())
        self.layout.display = "none"

    def show(self, record: CampaignRecord | None, *, is_writing: bool = False) -> None:
        """Shows a campaign as it is now, and lets others know that it is open here."""
        if record is None or self._record is None or record.id != self._record.id:
            self.result.say("")
        self._record = record
        self.layout.display = "none" if record is None else ""
        with suppress(OptinbError):
            self._presence.beat(record.id if record else None, is_writing=is_writing)
            if record is not None:
                self._read(record)

    def leave(self) -> None:
        """Lets others know that nothing is open here any more."""
        with suppress(OptinbError):
            self._presence.beat(None)

    def _read(self, record: CampaignRecord) -> None:
        together, zone = self._ws.together, self._ws.settings.zone
        people = fragment("together.html.j2", "people", together.waiting(record), together.others(record.id), zone)
        said = fragment("together.html.j2", "comments", self._ws.store.conversation.comments(record.id), zone)
        if (people, said) != self._shown:  # what is selected on the page stays while nothing changes
            self._shown = (people, said)
            self.people.show(people, role="status")
            self.comments.show(said)

    def _say(self) -> None:
        if self._record is None:
            return
        with self.result.saying_errors():
            self._ws.together.comment(self._record.id, self.text.value)
            self.text.value = ""
            problem = self._ws.notices.problem
            self.result.say(f"{problem[:1].upper()}{problem[1:]}." if problem else "", kind="bad")
            self._read(self._record)
