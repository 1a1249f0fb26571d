"""Whatever becomes of batches, in whatever order: a code is one recipient's or nobody's, and no code is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from optinb.campaigns import Waterfall
from optinb.delivery.journal import (
    Accepted,
    Batch,
    BatchState,
    Cancelled,
    CodePool,
    Expired,
    FrozenAudience,
    Planned,
    Refused,
    Store,
    Unknown,
)

NIGHT = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)
SIZE = 3
GIVEN_BACK = (Refused, Expired, Cancelled)
ANSWERS: tuple[BatchState, ...] = (
    Accepted(dispatch_id="d", schedule_id="s"),
    Refused(status=400, message="no"),
    Unknown(message="?"),
    Planned(note="later"),
)
RECALLS: tuple[BatchState, ...] = (
    Cancelled(message="recalled", schedule_id="s"),
    Unknown(message="too late"),
    ANSWERS[0],
)


class CodesMachine(RuleBasedStateMachine):
    """Several campaigns of one night that share a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name) / "state.sqlite")
        self.imported = 0
        self.audiences: dict[str, FrozenAudience] = {}
        self.first: dict[tuple[str, int], str] = {}  # what each recipient held as long as they held any

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @initialize(count=st.integers(1, 40))
    def begin(self, count: int) -> None:
        self.more(count)

    @rule(count=st.integers(1, 20))
    def more(self, count: int) -> None:
        new = [f"C{self.imported + n:04}" for n in range(count)]
        pool = self.store.codes.add("Pool", new, user="ann", now=NOW)
        self.imported += count
        assert isinstance(pool, CodePool)
        assert pool.codes == self.imported

    @rule(name=st.sampled_from("abc"), batches=st.integers(1, 6))
    def plan(self, name: str, batches: int) -> None:
        left = self.store.codes.get("pool").left
        draw = self.store.codes.draw("pool", batches * SIZE)
        assert len(draw.codes) == min(left, batches * SIZE)
        if len(draw.codes) < batches * SIZE:
            return
        figures = Waterfall(target=batches * SIZE, excluded={}, control=0, recipients=batches * SIZE)
        audience = FrozenAudience(
            campaign_id=name,
            campaign_name=name,
            run_date=NIGHT,
            app_group_id="shop",
            template_id="t",
            path="p",
            sha256="0" * 64,
            send_at=NOW + timedelta(hours=1),
            recipients=batches * SIZE,
            batches=batches,
            waterfall=figures,
            fingerprint="f" * 64,
            planned_at=NOW,
            codes="pool",
        )
        planned = [
            Batch(campaign_id=name, run_date=NIGHT, number=n, first=n * SIZE, size=SIZE, state=Planned())
            for n in range(batches)
        ]
        there = self.store.deliveries.plan(audience, planned, user="cron", now=NOW, draw=draw)
        if there is audience:  # a new one, or one in place of what was stopped whole
            self.first = {key: code for key, code in self.first.items() if key[0] != name}
        self.audiences[name] = there

    @precondition(lambda self: self.audiences)
    @rule(data=st.data(), answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4))
    def send(self, data: st.DataObject, answers: list[BatchState]) -> None:
        audience = self._one(data)
        lease = self.store.leases.take(audience.campaign_id, holder="box", now=NOW)
        marked = self.store.deliveries.turn(*audience.night, lease=lease, now=NOW, size=len(answers))
        settled = [replace(batch, state=state) for batch, state in zip(marked, answers, strict=False)]
        self.store.deliveries.turn(*audience.night, lease=lease, now=NOW, settled=settled)
        self.store.leases.release(lease)

    @precondition(lambda self: self.audiences)
    @rule(data=st.data(), to=st.sampled_from([Expired(message="late"), Cancelled(message="stopped")]))
    def stop(self, data: st.DataObject, to: BatchState) -> None:
        audience = self._one(data)
        if isinstance(to, Cancelled):
            self.store.deliveries.cancel(*audience.night, reason="stopped", user="ann", now=NOW)
            return
        lease = self.store.leases.take(audience.campaign_id, holder="box", now=NOW)
        self.store.deliveries.move(*audience.night, given="planned", to=to, lease=lease, now=NOW)
        self.store.leases.release(lease)

    @precondition(lambda self: self.audiences)
    @rule(data=st.data(), outcome=st.sampled_from(RECALLS))
    def recall(self, data: st.DataObject, outcome: BatchState) -> None:
        audience = self._one(data)
        taken = self.store.deliveries.batches(*audience.night, state="accepted")
        if taken:
            lease = self.store.leases.take(audience.campaign_id, holder="box", now=NOW)
            changed = [replace(data.draw(st.sampled_from(taken)), state=outcome)]
            self.store.deliveries.revise(changed, given="accepted", lease=lease, now=NOW)
            self.store.leases.release(lease)

    @invariant()
    def every_code_is_one_persons_or_nobodys(self) -> None:
        held: list[str] = []
        for audience in self.audiences.values():
            for batch in self.store.deliveries.batches(*audience.night):
                for place in range(batch.first, batch.first + batch.size):
                    code, key = self.store.codes.code_of(audience, place), (audience.campaign_id, place)
                    if isinstance(batch.state, GIVEN_BACK):
                        assert code is None
                        continue
                    assert code is not None
                    assert self.first.setdefault(key, code) == code
                    held.append(code)
        assert len(held) == len(set(held))
        free = self.store.codes.draw("pool", self.imported).codes if self.imported else ()
        assert sorted([*held, *free]) == [f"C{n:04}" for n in range(self.imported)]
        if self.imported:
            assert self.store.codes.get("pool").left == len(free)

    def _one(self, data: st.DataObject) -> FrozenAudience:
        return self.audiences[data.draw(st.sampled_from(sorted(self.audiences)))]


TestCodes = CodesMachine.TestCase
TestCodes.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
