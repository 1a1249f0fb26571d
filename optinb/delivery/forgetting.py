"""Forgetting a person: out of tables, lists, audiences, journals, notebooks and drafts; what was counted stays so."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING
from unicodedata import normalize

from msgspec import Struct
from msgspec.structs import replace

from optinb.base.erasing import ForgottenPerson
from optinb.base.ownership import closed_folders, login_of
from optinb.delivery.anonymous import FORGOTTEN, Held, anonymise, holding, orphans
from optinb.delivery.delivered_files import delivers, files_with
from optinb.delivery.request import last_moment
from optinb.delivery.sends import WAIT_S
from optinb.delivery.traces import erase_files
from optinb.errors import StateError, UsageError
from optinb.segments.group_nights import GroupNights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from optinb.base.context import Context
    from optinb.delivery.audit_checkpoint import AuditCheckpoints
    from optinb.delivery.journal import Store
    from optinb.segments.lists import Lists
    from optinb.segments.vendor_control import VendorControl
    from optinb.warehouse import Removed, Warehouse

ACTION = "customer forgotten"
WHY = "a customer was forgotten"


class ForgottenCustomer(Struct, frozen=True, kw_only=True):
    """What was removed of a customer, in figures; `person` is a keyed hash, which stands for them in the audit trail.

    `rows` of the published tables, `versions` and `files` of the warehouse that were written anew, `quarantined` rows
    whose text was blanked, `lists` (uploads of Appboy's Global Control Group among them) and `audiences` that they were
    on, `groups` in whose history they were, `rewritten` texts: journals, notebooks, reports, logs, drafts. What a
    person has to see to: `inbox`, the delivered files that still hold them; `scheduled`, the sends that Appboy has
    already and that reach them; `named_in`, what names them still, as it can't be rewritten.
    `forgotten_before`: by an earlier call, which this one repeated.
    """

    person: str
    rows: dict[str, int]
    versions: int
    files: int
    quarantined: int
    lists: int
    audiences: int
    rewritten: int
    inbox: tuple[str, ...]
    scheduled: tuple[str, ...]
    named_in: tuple[str, ...]
    forgotten_before: bool = False
    groups: int = 0

    @property
    def found(self) -> bool:
        """Whether there was anything to remove."""
        removed = (self.versions, self.files, self.quarantined, self.lists, self.audiences, self.groups, self.rewritten)
        return any(removed)


class Forgetting:
    """Removes people from a workspace."""

    def __init__(
        self,
        context: Context,
        store: Store,
        *,
        warehouse: Warehouse,
        lists: Lists,
        vendor_control: VendorControl,
        checkpoints: AuditCheckpoints,
    ) -> None:
        self._context, self._store, self._warehouse, self._lists = context, store, warehouse, lists
        self._vendor_control, self._checkpoints = vendor_control, checkpoints
        self._root, self._inbox, self._groups = context.root, context.root / "inbox", GroupNights(context.root)

    def forget(self, customer_id: str, *, by: str = "") -> ForgottenCustomer:
        """Removes a customer from the workspace; see `Workspace.forget`."""
        if not customer_id or customer_id != customer_id.strip():
            raise UsageError(f"{customer_id!r} is no customer id")
        if customer_id in by:
            raise UsageError(
                "by must not name the customer: it is kept in the audit trail; name who asked, or a ticket"
            )
        if not self._warehouse.holds(customer_id):
            customer_id = normalize("NFC", customer_id)  # as ids are stored
        self._checkpoints.must_not_be_behind()
        night = self._context.today()
        with self._store.lease(
            f"night {night}",
            holder=self._context.holder,
            clock=self._store.clock,
            wait_s=WAIT_S,
            what=f"the night of {night}",
        ):
            return self._forgotten(customer_id, by=by)

    def _forgotten(self, customer_id: str, *, by: str) -> ForgottenCustomer:
        store, root, user = self._store, self._root, self._context.user
        before = self._warehouse.forgotten.knows(customer_id)
        person = self._warehouse.known_as(customer_id)
        held = tuple(holding(store, person.ids, root=root))
        if not (before or held or self._is_named(customer_id)):
            raise UsageError(
                f"{customer_id!r} is in no table, list, audience or delivery of {root}, and was not forgotten before: "
                "nothing is changed; look the customer_id up, whose leading zeros and case count"
            )
        self._must_be_over(held)
        # The warehouse comes last: it knows the other ids, by which a resumed run finds the rest.
        others = {*person.external_ids, *(h.external_user_id for h in held if h.external_user_id)}
        scheduled = tuple(
            f"{h.audience.campaign_name}, {h.audience.run_date}"
            for h in held
            if h.batch and _state(h) in ("accepted", "unknown") and self._context.now() < last_moment(h.audience)
        )
        # must precede the audiences: an external id of then may stand in no table any more
        lists = self._vendor_control.forget(others) + sum(self._lists.forget(one) for one in person.ids)
        audiences, groups = self._anonymise(held, person.ids), self._groups.forget(person.ids)
        gone = ForgottenPerson(
            {*person.ids, *others, *person.names}, values=person.values, stand_in=f"{FORGOTTEN}{token_hex(8)}"
        )
        rows, files = store.rewording.erase(gone, user=user, now=self._context.now()), erase_files(root, gone)
        removed = self._warehouse.forget(
            customer_id, others={*others, *person.names}, user=user, now=self._context.now()
        )
        done = ForgottenCustomer(
            person=self._warehouse.forgotten.hash_of(customer_id),
            rows=removed.rows,
            versions=removed.versions,
            files=removed.files,
            quarantined=removed.quarantined,
            lists=lists,
            audiences=audiences,
            rewritten=rows + files.rewritten,
            inbox=tuple(files_with(self._inbox, (*person.ids, *sorted(others)))),
            scheduled=scheduled,
            named_in=(*store.rewording.naming(gone), *files.left, *_closed(root)),
            forgotten_before=before,
            groups=groups,
        )
        self._note(done, removed, by=by)
        if not store.wipe():
            left = "removed rows of the state store, while another program reads it: run this again later"
            done = replace(done, named_in=(*done.named_in, left))
        return done

    def _is_named(self, customer_id: str) -> bool:
        """Whether anything names a customer, frozen audiences apart: an id that never was is told from one gone.

        That a delivered file holds the id as a word isn't enough: it may be a quantity.
        """
        return (
            self._warehouse.holds(customer_id)
            or self._lists.holds(customer_id)
            or self._groups.holds((customer_id,))
            or any(orphans(self._store, (customer_id,), root=self._root))
            or bool(self._store.audit.naming(customer_id))
            or any(delivers(self._inbox / name, customer_id) for name in files_with(self._inbox, (customer_id,)))
        )

    def _must_be_over(self, held: Iterable[Held]) -> None:
        """Refuses while a sender has still to read a list that the customer is on. Raises StateError."""
        for one in held:
            if self._store.deliveries.counts(*one.audience.night).pending:
                raise StateError(
                    f"the customer is on the list of {one.audience.campaign_name!r} for {one.audience.run_date}, which "
                    "is still to be sent; let the night finish, or cancel the campaign, then forget the customer"
                )

    def _anonymise(self, held: Iterable[Held], ids: Collection[str]) -> int:
        audiences = {one.audience.night: one.audience for one in held}
        for audience in audiences.values():
            anonymise(
                self._store,
                audience,
                ids,
                root=self._root,
                token=token_hex(8),
                why=WHY,
                user=self._context.user,
                now=self._context.now(),
            )
        for path in orphans(self._store, ids, root=self._root):
            path.unlink(missing_ok=True)
        return len(audiences)

    def _note(self, done: ForgottenCustomer, removed: Removed, *, by: str) -> None:
        """Records it once, and again where there was more to do."""
        subject = f"customer {done.person[:16]}"
        before = any(entry.action == ACTION for entry in self._store.audit.list(subject=subject))
        if before and not done.found:
            return
        self._store.audit.note(
            who=self._context.user,
            action=ACTION,
            subject=subject,
            now=self._context.now(),
            person=done.person,
            by=by,
            rows=removed.rows,
            versions=removed.versions,
            files=removed.files,
            quarantined=removed.quarantined,
            lists=done.lists,
            audiences=done.audiences,
            groups=done.groups,
            rewritten=done.rewritten,
            left_in_inbox=len(done.inbox),
        )


def _closed(root: Path) -> Iterable[str]:
    """The folders that can't be looked into, such as somebody's own copies of notebooks in a shared workspace."""
    for folder in closed_folders(root):
        name, owner = folder.relative_to(root).as_posix(), login_of(folder.stat().st_uid)
        yield f"the folder {name}, perhaps, which is closed to others than {owner}: they must look into it"


def _state(held: Held) -> str:
    return str(held.batch.state.__struct_config__.tag) if held.batch else ""
