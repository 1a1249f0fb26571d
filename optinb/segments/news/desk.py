"""`ws.news`: what changed and whom to look at, night by night, and what becomes of it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec.structs import replace

from optinb.base.context import as_day
from optinb.errors import UsageError, did_you_mean
from optinb.segments.news.kept import Dismissed, NewsFiles

if TYPE_CHECKING:
    from optinb.base.context import Context
    from optinb.segments.groups import GroupRecord, Groups
    from optinb.segments.news.item import News, NewsItem
    from optinb.segments.tables_view import TablesView
    from optinb.store.audit import AuditTrail


class NewsDesk:
    """What nights told unprompted: read it, save a group of it, or dismiss it."""

    def __init__(self, context: Context, audit: AuditTrail, *, reading: TablesView, groups: Groups) -> None:
        self._context, self._audit = context, audit
        self._reading, self._groups = reading, groups
        self._kept = NewsFiles(context.root)

    def look(self, night: date | str | None = None) -> News:
        """Looks at everybody, as each night does, and keeps what it tells.

        Args:
            night: the one that was modelled, as a date, or text such as "2026-11-20"; the newest when left out.

        Raises:
            UsageError: for another night than the one whose models are published, or what is no date.
            StateError: when what was told before can't be read.
        """
        from optinb.segments.news.look import look

        modelled = self._reading.snapshot().model_date
        wanted = as_day(night) if night else modelled
        if wanted is None or wanted != modelled:
            told = f"the published models are of {modelled}" if modelled else "the customers aren't modelled yet"
            raise UsageError(
                f"what changed on {wanted or 'a night'} can't be looked for: {told}; `optinb model` models"
            )
        return self._without_dismissed(look(self._reading, self._kept, wanted))

    def of(self, night: date | str | None = None) -> News:
        """What a night told.

        Args:
            night: as a date, or text such as "2026-11-20"; the newest that told anything when left out.

        Raises:
            UsageError: for a night of which nothing is kept, or what is no date.
            StateError: when the file can't be read.
        """
        kept = self._kept.nights()
        wanted = as_day(night) if night else max(kept, default=None)
        found = self._kept.read(wanted) if wanted else None
        if found is None:
            told = (
                f"{kept[0]} to {kept[-1]} are kept" if kept else "each night that runs looks, and ws.news.look() does"
            )
            raise UsageError(f"nothing is kept of what changed{f' on {wanted}' if wanted else ''}: {told}")
        return self._without_dismissed(found)

    def newest(self) -> News | None:
        """What the newest night told; None before any."""
        return self.of() if self._kept.nights() else None

    def item(self, key: str) -> NewsItem:
        """One thing that was told, by its key. Raises UsageError with the nearest, for one that isn't known."""
        known: dict[str, NewsItem] = {}
        for night in reversed(self._kept.nights()):
            for item in news.items if (news := self._kept.read(night)) else ():
                known.setdefault(item.key, item)
            if key in known:
                return known[key]
        raise UsageError(
            f"nothing with the key {key!r} was told{did_you_mean(key, known)}; `optinb news` shows the keys"
        )

    def save(self, key: str, name: str) -> GroupRecord:
        """Saves a group that was told of.

        Args:
            key: of what was told.
            name: of the group, 1 to 120 printable characters.

        Raises:
            UsageError: for a key that isn't known.
            RuleError: for a name that can't be shown, or a group that doesn't fit the data any more.
        """
        return self._groups.save(name, self.item(key).rule)

    def dismiss(self, key: str) -> News:
        """Says that nobody wants to hear of this any more, nor of the same in nearly the same customers.

        Args:
            key: of what was told.

        Returns:
            what the newest night told, without it.

        Raises:
            UsageError: for a key that isn't known.
        """
        item = self.item(key)
        now = self._context.now()
        self._kept.dismiss(Dismissed(item=item, by=self._context.user, at=now))
        self._audit.note(who=self._context.user, action="news dismissed", subject=item.who, now=now, key=key)
        return self.of()

    def restore(self, key: str) -> News:
        """Takes it back that something was dismissed.

        Args:
            key: of what was dismissed.

        Returns:
            what the newest night told.

        Raises:
            UsageError: for a key that wasn't dismissed.
        """
        dismissed = self._kept.dismissed()
        if key not in dismissed:
            raise UsageError(f"nothing with the key {key!r} was dismissed{did_you_mean(key, dismissed)}")
        item = dismissed[key].item
        self._kept.restore(key)
        now = self._context.now()
        self._audit.note(who=self._context.user, action="news restored", subject=item.who, now=now, key=key)
        return self.of()

    def _without_dismissed(self, news: News) -> News:
        return replace(news, dismissed=frozenset(self._kept.dismissed()))
