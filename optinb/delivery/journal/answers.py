"""What the journal says, a second time and outside the database: a file of answers for each frozen audience.

A database can be put back to an earlier moment, and then it plans what was sent long ago. The file can't be put back
with it: a line is appended, and reaches the disk, for each step of the sender. What Appboy has answered is appended
before the database is told, so that it is kept where the database can't be written; what is marked as sending is
appended after that, and before its requests. So a batch that is planned in the database although the file knows more
of it is one that the database has forgotten: no crash leaves that behind.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import date, datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from optinb.base.files import lock_newest, open_privately, sync, unlock
from optinb.delivery.journal.values import Batch, BatchState, Cancelled, FrozenAudience, Planned, Sending
from optinb.errors import StateError

_logger = logging.getLogger("optinb.delivery")
TAIL = ".answers.jsonl"
Requests = tuple[int, int]  # so many recipients each, and how many such requests follow one another
Grant = tuple[int, int, int]  # of promotion codes: the first number, how many, and the place of the first recipient


class AnswerLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step: new states of batches by their numbers, or a changed audience.

    `token` is of the lease under which it was made. `anew`: a plan, and everything before it counts no more.
    `after_torn`: a crash has torn the line before this one.

    In the file of a night's first message, `beside` are the plans of its other messages, as lines of their own files
    have them, and `is_told` says that each of these files has its plan by now.
    """

    at: datetime
    token: int | None = None
    states: tuple[tuple[tuple[int, ...], BatchState], ...] = ()
    audience: FrozenAudience | None = None
    requests: tuple[Requests, ...] = ()
    grants: tuple[Grant, ...] = ()
    anew: bool = False
    after_torn: bool = False
    beside: tuple[AnswerLine, ...] = ()
    is_told: bool = False


class Account(Struct, kw_only=True):
    """What a file says in the end: the audience, and the newest state of each batch that ever left its plan.

    `tokens` are those of the leases under which these states were written, `token` the greatest of all. `damaged` are
    the numbers of lines (from 1) that can't be read although no crash has torn them. `beside` are the plans of the
    night's other messages, by their keys, `is_told` says that the files of all of these have them.
    """

    audience: FrozenAudience | None = None
    requests: tuple[Requests, ...] = ()
    grants: tuple[Grant, ...] = ()
    states: dict[int, BatchState] = field(default_factory=dict)
    tokens: dict[int, int | None] = field(default_factory=dict)
    token: int = 0
    damaged: list[int] = field(default_factory=list)
    beside: dict[str, AnswerLine] = field(default_factory=dict)
    is_told: bool = False

    @property
    def begun(self) -> set[int]:
        """The batches that are past their plan."""
        return {number for number, state in self.states.items() if not isinstance(state, Planned)}

    def is_overtaken(self, number: int, untold: int | None) -> bool:
        """Whether a batch that is under way here is known to have come to nothing, under the hold `untold`."""
        token = self.tokens.get(number)
        is_under_way = isinstance(self.states.get(number), Sending)
        return is_under_way and token is not None and untold is not None and token <= untold


class JournalSide(Struct, frozen=True, kw_only=True):
    """What the database says of the same night: its plan, the batches still planned, and the newest lease's token.

    `seals`: the digest of every file that its audit trail knows for this campaign. `untold`: of planned batches whose
    last try the file doesn't know to have come to nothing, the token of the hold under which it was made.
    """

    audience: FrozenAudience | None
    planned: frozenset[int] = frozenset()
    untold: dict[int, int] = {}
    token: int = 0
    seals: frozenset[str] = frozenset()


def send_lease(campaign_id: str, run_date: date) -> str:
    """The name of the lease under which a campaign's night is sent."""
    return f"send {campaign_id} {run_date}"


def replay(text: bytes) -> Account:
    """The account that a file's lines add up to.

    A line of somebody whose hold had been taken over by then is left out, as the database leaves it out.
    """
    account = Account()
    torn: int | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        try:
            line = _LINE.decode(raw)
        except msgspec.MsgspecError:
            if torn is not None:
                account.damaged.append(torn)
            torn = number
            continue
        if torn is not None and not line.after_torn:
            account.damaged.append(torn)
        torn = None
        _add(account, line)
    if torn is not None and text.endswith(b"\n"):
        account.damaged.append(torn)
    return account


def _add(account: Account, line: AnswerLine) -> None:
    if line.token is not None and line.token < account.token:
        return
    account.token = max(account.token, line.token or 0)
    if line.anew:
        account.states, account.tokens, account.beside, account.is_told = {}, {}, {}, False
    account.beside |= {one.audience.campaign_id: one for one in line.beside if one.audience}
    account.is_told |= line.is_told
    if line.audience is not None:
        account.audience, account.requests, account.grants = line.audience, line.requests, line.grants
    for numbers, state in line.states:
        account.states.update(dict.fromkeys(numbers, state))
        account.tokens.update(dict.fromkeys(numbers, line.token))


def with_plan(account: Account | None, key: str, first: Account) -> Account | None:
    """The account of a message with its plan as the night's first message has it, where its own file lacks that.

    Before that file is told, nothing is sent of a message. So one that wasn't told yet, since its planner was killed,
    is still planned; of one whose file was told and is gone, nobody knows what was sent.

    Args:
        account: of the message's own file, if there is one.
        key: of the message.
        first: the account of the night's first message.
    """
    told = first.beside.get(key)
    if told is None or told.audience is None:
        return account
    if account and account.audience and account.audience.planned_at >= told.audience.planned_at:
        return account
    found = Account(audience=told.audience, requests=told.requests, grants=told.grants)
    if account and not account.audience:
        found.states, found.tokens, found.damaged = account.states, account.tokens, account.damaged
    found.token = account.token if account else 0
    found.damaged = found.damaged or [0] * first.is_told
    return found


def why_behind(account: Account, there: JournalSide) -> str | None:
    """What the database has forgotten of a night, in a few words; None where it knows all that the file does.

    A database that knows more is none of this: the file of another machine, or one that a crash kept from its last
    line. Nor is what a crash leaves between file and database, which `Recovery.take_over` brings together.
    """
    mine, theirs = account.audience, there.audience
    if theirs is None:
        return "it isn't in the database" if mine or account.states else None
    if mine and mine.planned_at < theirs.planned_at:
        # Of an earlier plan, all of which was stopped or recalled: else nothing could have been planned after it.
        taken = sum(not isinstance(state, Planned | Cancelled) for state in account.states.values())
        return f"{taken:,} requests of an earlier plan were made, and weren't recalled" if taken else None
    if mine and mine.planned_at > theirs.planned_at:
        return "it was planned anew since"
    if mine and mine.sha256 != theirs.sha256 and mine.sha256 not in there.seals:
        return "its list was frozen anew since"
    further = sum(not account.is_overtaken(n, there.untold.get(n)) for n in account.begun & there.planned)
    if further:
        return f"{further:,} of its {theirs.batches:,} requests were made or decided on, which are planned there"
    if account.token > there.token:
        return "somebody has worked on it since"
    if mine is None:
        return None
    if mine.cancelled is not None and theirs.cancelled is None:
        return f"it was cancelled since ({mine.cancelled})"
    return f"it was moved to {mine.send_at:%H:%M} UTC since" if mine.send_at > theirs.send_at else None


def behind(reasons: Sequence[str]) -> str:
    """The sentence with which everything is refused on a database that was put back to an earlier state."""
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return (
        "the database of this workspace was put back to an earlier state, or is another one than what lies beside it: "
        f"{'; '.join(reasons[:3])}{more}. Nothing was done, since people could get a message twice. `optinb recover` "
        "rebuilds what the database has forgotten; `optinb recover --dry-run` tells what it would do"
    )


def grouped(changed: Iterable[Batch]) -> tuple[tuple[tuple[int, ...], BatchState], ...]:
    """The states of batches with the numbers of the batches that share each."""
    found: dict[BatchState, list[int]] = {}
    for batch in changed:
        found.setdefault(batch.state, []).append(batch.number)
    return tuple((tuple(numbers), state) for state, numbers in found.items())


class AnswerFiles:
    """The files of a workspace, `audiences/DATE/CAMPAIGN.answers.jsonl`; without a folder, nothing is written."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._unwritten: dict[tuple[str, date], str] = {}

    @property
    def is_kept(self) -> bool:
        """Whether there is a folder for them."""
        return self._root is not None

    def path(self, campaign_id: str, run_date: date) -> Path:
        """Where a night's file lies."""
        assert self._root is not None
        return self._root / "audiences" / run_date.isoformat() / f"{campaign_id}{TAIL}"

    def read(self, campaign_id: str, run_date: date) -> Account | None:
        """What a night's file says; None where there is none. Raises StateError."""
        return None if self._root is None else read_account(self.path(campaign_id, run_date))

    def unwritten(self, campaign_id: str, run_date: date) -> str | None:
        """Why a night's file isn't up to date with the database since this process failed to write it, or None."""
        return self._unwritten.get((campaign_id, run_date))

    def append(self, campaign_id: str, run_date: date, line: AnswerLine) -> None:
        """Appends a line that nothing may go on without. Raises StateError when the disk doesn't take it."""
        with self.appending(campaign_id, run_date) as pen:
            pen.write(line)
        if line.anew:
            self.is_current(campaign_id, run_date)

    def is_current(self, campaign_id: str, run_date: date) -> None:
        """Notes that a night's file says what the database does."""
        self._unwritten.pop((campaign_id, run_date), None)

    def note(self, campaign_id: str, run_date: date, line: AnswerLine) -> None:
        """Appends a line that makes nothing more be sent; that the disk doesn't take it must not stop a recall.

        `unwritten` tells it, and whoever takes the night over next brings the file up to date.
        """
        try:
            self.append(campaign_id, run_date, line)
        except StateError as error:
            _logger.warning("answers not written", extra={"campaign": campaign_id, "problem": str(error)})
            self._unwritten[campaign_id, run_date] = str(error)

    @contextmanager
    def appending(self, campaign_id: str, run_date: date) -> Iterator[Pen]:
        """Lets lines be appended to a night's file; all of them are on the disk at the end, whatever happens."""
        pen = Pen(None if self._root is None else self.path(campaign_id, run_date))
        try:
            yield pen
        except BaseException:
            pen.close(is_failing=True)
            raise
        pen.close()


class Pen:
    """Appends lines to one file. Each is written by one call and alone, so that several processes don't mix theirs.

    Whoever rewrites the file, as `forget` does, holds it meanwhile, and the next line goes to the new one.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._file, self._is_new = path, None, False

    def write(self, line: AnswerLine) -> None:
        """Appends a line. Raises StateError when the disk doesn't take it."""
        if self._path is None:
            return
        try:
            self._append(self._path, line)
        except OSError as error:
            raise self._explained(error) from error

    def tell(self, changed: Sequence[Batch], *, at: datetime, token: int | None = None) -> None:
        """Appends what batches have become, if there are any. Raises StateError."""
        if changed:
            self.write(AnswerLine(at=at, token=token, states=grouped(changed)))

    def sync(self) -> None:
        """Waits until what was written is on the disk. Raises StateError."""
        if self._file is None or self._file.closed or self._path is None:
            return
        try:
            os.fsync(self._file.fileno())
            if self._is_new:
                sync(self._path.parent)
        except OSError as error:
            raise self._explained(error) from error

    def close(self, *, is_failing: bool = False) -> None:
        """Brings to the disk what was written. Raises StateError, but not over another failure."""
        if self._file is None or self._file.closed:
            return
        with self._file, suppress(StateError) if is_failing else nullcontext():
            self.sync()

    def _append(self, path: Path, line: AnswerLine) -> None:
        if self._file is None or self._file.closed:  # closed where a rewritten one couldn't be opened
            path.parent.mkdir(parents=True, exist_ok=True)
            self._is_new = not path.exists()
            self._file = open_privately(path, "ab+", buffering=0)
        self._file = file = lock_newest(self._file, path, lambda: open_privately(path, "ab+", buffering=0))
        try:
            end = file.seek(0, os.SEEK_END)
            is_torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
            if is_torn:
                line = msgspec.structs.replace(line, after_torn=True)
            # as before there were variants; no text can hold this, since its quotes would stand behind backslashes
            text = msgspec.json.encode(line).replace(b',"variant":null', b"")
            data = b"\n" * is_torn + text + b"\n"
            written = file.write(data)
        finally:
            unlock(file)
        if written != len(data):
            raise OSError(f"only {written:,} of {len(data):,} bytes were taken")

    def _explained(self, error: OSError) -> StateError:
        return StateError(
            f"the answers file {self._path} can't be written ({error.strerror or error}); nothing more is sent of this "
            "night; check the space and the rights of that folder, then run it again"
        )


def read_account(path: Path) -> Account | None:
    """What a file says; None where there is none. Raises StateError when it can't be read."""
    try:
        return replay(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"the answers file {path} can't be read ({error.strerror}); check its rights") from error


def certain(state: BatchState) -> bool:
    """Whether a state in a file says what became of a batch: not one whose request was about to be made."""
    return not isinstance(state, Sending)


_LINE = msgspec.json.Decoder(AnswerLine)
