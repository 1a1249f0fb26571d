"""Forgetting a person: out of tables, lists, audiences, journals, notebooks and drafts; what was counted stays so."""

from __future__ import annotations

import gzip
import re
from secrets import token_hex
from typing import TYPE_CHECKING
from unicodedata import normalize

from msgspec import Struct
from msgspec.structs import replace

from optinb.delivery import FORGOTTEN, anonymise, holding, last_moment, orphans
from optinb.erasing import ForgottenPerson
from optinb.errors import StateError, UsageError
from optinb.files import walk
from optinb.workspace.behind import must_not_be_behind
from optinb.workspace.named import is_named
from optinb.workspace.ownership import closed_folders, login_of
from optinb.workspace.sends import WAIT_S
from optinb.workspace.traces import erase_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path
    from typing import BinaryIO

    from optinb.delivery import Held
    from optinb.warehouse import Removed
    from optinb.workspace.handle import Workspace

ACTION = "customer forgotten"
WHY = "a customer was forgotten"


class ForgottenCustomer(Struct, frozen=True, kw_only=True):
    """What was removed of a customer, in figures; `person` is a keyed hash, which stands for them in the audit trail.

    `rows` of the published tables, `versions` and `files` of the warehouse that were written anew, `quarantined` rows
    whose text was blanked, `lists` and `audiences` that they were on, `rewritten` texts: journals, notebooks, reports,
    logs, drafts. What a person has to see to: `inbox`, the delivered files that still hold them; `scheduled`, the
    sends that Appboy has already and that reach them; `named_in`, what names them still, as it can't be rewritten.
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

    @property
    def found(self) -> bool:
        """Whether there was anything to remove."""
        return bool(self.versions or self.files or self.quarantined or self.lists or self.audiences or self.rewritten)


def forget(ws: Workspace, customer_id: str, *, by: str = "") -> ForgottenCustomer:
    """Removes a customer from the workspace; see `Workspace.forget`."""
    if not customer_id or customer_id != customer_id.strip():
        raise UsageError(f"{customer_id!r} is no customer id")
    if customer_id in by:
        raise UsageError("by must not name the customer: it is kept in the audit trail; name who asked, or a ticket")
    if not ws.warehouse.holds(customer_id):
        customer_id = normalize("NFC", customer_id)  # as ids are stored
    must_not_be_behind(ws)
    night = ws.today()
    name, what = f"night {night}", f"the night of {night}"
    with ws.store.lease(name, holder=ws.sends.holder, clock=ws.store.clock, wait_s=WAIT_S, what=what):
        before = ws.warehouse.forgotten.knows(customer_id)
        person = ws.warehouse.known_as(customer_id)
        held = tuple(holding(ws.store, person.ids, root=ws.root))
        if not (before or held or is_named(ws, customer_id, delivered=_files_with(ws.root / "inbox", (customer_id,)))):
            raise UsageError(
                f"{customer_id!r} is in no table, list, audience or delivery of {ws.root}, and was not forgotten "
                "before: nothing is changed; look the customer_id up, whose leading zeros and case count"
            )
        _must_be_over(ws, held)
        # The warehouse comes last: it knows the other ids, by which a resumed run finds the rest.
        others = {*person.external_ids, *(h.external_user_id for h in held if h.external_user_id)}
        scheduled = tuple(
            f"{h.audience.campaign_name}, {h.audience.run_date}"
            for h in held
            if h.batch and _state(h) in ("accepted", "unknown") and ws.now() < last_moment(h.audience)
        )
        audiences = _anonymise(ws, held, person.ids)
        lists = sum(ws.lists.forget(one) for one in person.ids)
        gone = ForgottenPerson(
            {*person.ids, *others, *person.names}, values=person.values, stand_in=f"{FORGOTTEN}{token_hex(8)}"
        )
        rows, files = ws.store.rewording.erase(gone, user=ws.user, now=ws.now()), erase_files(ws.root, gone)
        removed = ws.warehouse.forget(customer_id, others={*others, *person.names}, user=ws.user, now=ws.now())
        done = ForgottenCustomer(
            person=ws.warehouse.forgotten.hash_of(customer_id),
            rows=removed.rows,
            versions=removed.versions,
            files=removed.files,
            quarantined=removed.quarantined,
            lists=lists,
            audiences=audiences,
            rewritten=rows + files.rewritten,
            inbox=tuple(_files_with(ws.root / "inbox", (*person.ids, *sorted(others)))),
            scheduled=scheduled,
            named_in=(*ws.store.rewording.naming(gone), *files.left, *_closed(ws.root)),
            forgotten_before=before,
        )
        _note(ws, done, removed, by=by)
        if not ws.store.wipe():
            left = "removed rows of the state store, while another program reads it: run this again later"
            done = replace(done, named_in=(*done.named_in, left))
    ws.reopen()
    return done


def _closed(root: Path) -> Iterable[str]:
    """The folders that can't be looked into, such as somebody's own copies of notebooks in a shared workspace."""
    for folder in closed_folders(root):
        name, owner = folder.relative_to(root).as_posix(), login_of(folder.stat().st_uid)
        yield f"the folder {name}, perhaps, which is closed to others than {owner}: they must look into it"


def _must_be_over(ws: Workspace, held: Iterable[Held]) -> None:
    """Refuses while a sender has still to read a list that the customer is on. Raises StateError."""
    for one in held:
        if ws.store.deliveries.counts(*one.audience.night).pending:
            raise StateError(
                f"the customer is on the list of {one.audience.campaign_name!r} for {one.audience.run_date}, which is "
                "still to be sent; let the night finish, or cancel the campaign, then forget the customer"
            )


def _state(held: Held) -> str:
    return str(held.batch.state.__struct_config__.tag) if held.batch else ""


def _anonymise(ws: Workspace, held: Iterable[Held], ids: Collection[str]) -> int:
    audiences = {one.audience.night: one.audience for one in held}
    for audience in audiences.values():
        anonymise(
            ws.store,
            audience,
            ids,
            root=ws.root,
            token=token_hex(8),
            why=WHY,
            user=ws.user,
            now=ws.now(),
        )
    for path in orphans(ws.store, ids, root=ws.root):
        path.unlink(missing_ok=True)
    return len(audiences)


def _note(ws: Workspace, done: ForgottenCustomer, removed: Removed, *, by: str) -> None:
    """Records it once, and again where there was more to do."""
    subject = f"customer {done.person[:16]}"
    before = any(entry.action == ACTION for entry in ws.store.audit.list(subject=subject))
    if before and not done.found:
        return
    ws.store.audit.note(
        who=ws.user,
        action=ACTION,
        subject=subject,
        now=ws.now(),
        person=done.person,
        by=by,
        rows=removed.rows,
        versions=removed.versions,
        files=removed.files,
        quarantined=removed.quarantined,
        lists=done.lists,
        audiences=done.audiences,
        rewritten=done.rewritten,
        left_in_inbox=len(done.inbox),
    )


def _files_with(inbox: Path, names: Iterable[str]) -> Iterable[str]:
    """The delivered files that name the customer, relative to the inbox."""
    names = tuple(names)
    for path in walk(inbox):
        if path.is_file() and _names_any(path, names):
            yield path.relative_to(inbox).as_posix()


def _names_any(path: Path, names: tuple[str, ...]) -> bool:
    import polars as pl

    if path.suffix.lower() == ".parquet":
        try:
            scan = pl.scan_parquet(path, glob=False)
            column = next((c for c in scan.collect_schema() if c.strip().casefold() == "customer_id"), None)
            if column is None:
                return False
            return bool(scan.filter(pl.col(column).cast(pl.String).is_in(names)).head(1).collect().height)
        except (OSError, pl.exceptions.PolarsError):
            return False
    encoded = [name.encode(code) for name in names for code in ("utf-8", "utf-16-le", "utf-16-be")]
    cell = re.compile(
        rb"(?:^|[\s,;|\"'\[:\x00])(?:" + b"|".join(map(re.escape, encoded)) + rb")(?:$|[\s,;|\"'\]}\x00])"
    )
    try:
        with _opened(path) as stream:
            return any(cell.search(line) for line in stream)
    except (OSError, EOFError):
        return False


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # pyright: ignore[reportReturnType]
