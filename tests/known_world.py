"""Half a year of the sample's shop, in which campaigns go out whose every answer is known.

Each campaign goes to customers who bought lately, one in five of whom are held out. Half of them move nobody; of the
others, a third each brings some purchases more, many more, and fewer. What one brings is in the windows of others, too.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import asdict

from optinb.measure.assignment import MESSAGE, TESTED, assign
from optinb.measure.outcomes import outcomes
from optinb.measure.result import CampaignResult, result_of
from optinb.sandbox.sample.answers import CustomerAnswers, answers
from optinb.sandbox.sample.people import People, customer_ids, draw_people
from optinb.sandbox.sample.purchases import Tastes, transactions_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FIRST = date(2026, 6, 1)
NIGHTS, DAYS, BEFORE = 182, 14, 365
CONTROL = 0.2
EFFECTS = (0.15, 0.5, -0.3)
WIDTH = 6
DAY_S = 86_400
UTC_TIMES = pl.col("occurred_at").dt.convert_time_zone("UTC").dt.replace_time_zone(None)


class Sent(Struct, frozen=True):
    """A campaign: who belongs to it, who of them got it, what they answer, and how strong that is."""

    name: str
    at: datetime
    effect: float
    members: pl.Series
    got_it: np.ndarray
    answers: CustomerAnswers


class Told(Struct, frozen=True):
    """What is said of a campaign, and what is true of its members on average, by figure."""

    sent: Sent
    result: CampaignResult
    truth: dict[str, float]


class Judged(Struct, frozen=True):
    """How often what was said of campaigns is true.

    Attributes:
        inside: the share of intervals that hold the truth, by figure.
        advice: of each campaign, how strong it is and what is advised.
        false_calls: the share of those that move nobody which are kept or stopped.
        wrong_way: how many others are advised the opposite of.
        found: the share of those with a strong effect that are told as what they are.
    """

    inside: dict[str, float]
    advice: list[tuple[float, str]]
    false_calls: float
    wrong_way: int
    found: float


def judged(told: Iterable[Told]) -> Judged:
    inside: dict[str, list[bool]] = {}
    advice: list[tuple[float, str]] = []
    for one in told:
        (arm,) = one.result.arms
        advice.append((one.sent.effect, arm.advice))
        for figure, truth in one.truth.items():
            effect = arm.figures[figure]
            inside.setdefault(figure, []).append(effect.low <= truth <= effect.high)

    def right(effect: float) -> str:
        return "keep" if effect > 0 else "stop" if effect < 0 else "wait"

    none, some = [said for effect, said in advice if not effect], [one for one in advice if one[0]]
    strong = [(effect, said) for effect, said in some if effect != min(EFFECTS, key=abs)]
    return Judged(
        inside={figure: float(np.mean(held)) for figure, held in inside.items()},
        advice=advice,
        false_calls=float(np.mean([said != "wait" for said in none])),
        wrong_way=sum(said not in ("wait", right(effect)) for effect, said in some),
        found=float(np.mean([said == right(effect) for effect, said in strong])),
    )


def seconds(at: datetime) -> int:
    return int(at.replace(tzinfo=UTC).timestamp())


def some(people: People, places: np.ndarray) -> People:
    return People(**{name: column[places] for name, column in asdict(people).items()})


def _tastes(tastes: Tastes, places: np.ndarray) -> Tastes:
    chosen = object.__new__(Tastes)
    chosen.favourite, chosen.price = tastes.favourite[places], tastes.price[places]
    return chosen


class World:
    """The shop: its customers, what they would have bought, and the campaigns that went out."""

    def __init__(self, *, customers: int, campaigns: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        begins = datetime.combine(FIRST - timedelta(days=BEFORE), datetime.min.time())
        ends = datetime.combine(FIRST + timedelta(days=NIGHTS + DAYS), datetime.min.time())
        window = (seconds(begins), seconds(ends))
        self.people = draw_people(self.random, first=1, count=customers, joined=window)
        self.tastes = Tastes(self.random, customers)
        self.ids = customer_ids(self.people.number, width=WIDTH)
        self.base = self._times(
            transactions_frame(
                self.random,
                self.people,
                self.tastes,
                window=window,
                width=WIDTH,
                delivered=FIRST,
                first_number=0,
            )
        )
        nights = np.sort(self.random.integers(0, NIGHTS, campaigns))
        effects = self.random.permutation([0.0 if n % 2 else EFFECTS[n // 2 % 3] for n in range(campaigns)])
        self.sent = [self._send(n, int(night), float(effects[n])) for n, night in enumerate(nights)]

    @staticmethod
    def _times(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            "transaction_id", "customer_id", "amount", occurred_at=UTC_TIMES, day=pl.col("occurred_at").dt.date()
        )

    def _send(self, number: int, night: int, effect: float) -> Sent:
        at = datetime.combine(FIRST + timedelta(days=night), datetime.min.time()) + timedelta(hours=17)
        lately = int(self.random.choice([60, 120, 240]))
        when = pl.col("occurred_at")
        buyers = self.base.filter(when < at, when >= at - timedelta(days=lately))["customer_id"].unique().sort()
        members = buyers.sample(fraction=float(self.random.uniform(0.3, 0.8)), seed=number)
        places = members.cast(pl.Int64).to_numpy() - 1
        until = at + timedelta(days=DAYS)
        bought = self.base.filter(when >= at, when < until).join(
            pl.DataFrame({"customer_id": members}), on="customer_id", how="semi"
        )
        answered = answers(
            self.random,
            some(self.people, places),
            _tastes(self.tastes, places),
            bought,
            effect=effect,
            window=(seconds(at), seconds(until)),
            width=WIDTH,
            campaign=f"c{number}",
            sent=at.date(),
        )
        if effect > 0:
            answered = CustomerAnswers(more=self._times(answered.more), left_out=answered.left_out)
        got_it = self.random.random(len(members)) >= CONTROL
        return Sent(f"c{number}", at, effect, members, got_it, answered)

    def _rows(self, *, without: Sent | None = None, everybody: Sent | None = None) -> pl.DataFrame:
        """What was bought: without a campaign, or as if all of its members had got it."""
        more, left_out = [self.base], []
        for one in self.sent:
            if one is without:
                continue
            who = one.members if one is everybody else one.members.filter(pl.Series(one.got_it))
            reached = pl.DataFrame({"customer_id": who})
            more.append(one.answers.more.select(self.base.columns).join(reached, on="customer_id", how="semi"))
            if len(one.answers.left_out):
                gone = self.base.filter(pl.col("transaction_id").is_in(one.answers.left_out.implode()))
                left_out.append(gone.join(reached, on="customer_id", how="semi")["transaction_id"])
        rows = pl.concat(more)
        return rows.filter(~pl.col("transaction_id").is_in(pl.concat(left_out).implode())) if left_out else rows

    def told(self, *, seed: int) -> Iterator[Told]:
        """Each campaign's result beside the truth."""
        rows = self._rows().rename({"customer_id": "person"})
        for one in self.sent:
            tested = pl.DataFrame(
                {
                    "person": one.members,
                    "night": [one.at.date()] * len(one.members),
                    "send_at": [one.at] * len(one.members),
                    "role": np.where(one.got_it, "recipient", "control"),
                    "variant": pl.Series([None] * len(one.members), dtype=pl.String),
                },
                schema=TESTED,
            )
            assignment = assign(tested, days=DAYS)
            result = result_of(
                one.name,
                assignment,
                outcomes(assignment.people, rows.lazy()),
                measured_until=one.at + timedelta(days=DAYS),
                days=DAYS,
                currency="EUR",
                planned={"control": CONTROL, MESSAGE: 1 - CONTROL},
                seed=seed,
            )
            yield Told(one, result, self._truth(one, assignment.people))

    def _truth(self, one: Sent, people: pl.DataFrame) -> dict[str, float]:
        """What the message does to all of its members, on average."""
        sums = []
        for rows in (self._rows(everybody=one), self._rows(without=one)):
            did = outcomes(people, rows.rename({"customer_id": "person"}).lazy())
            sums.append(
                did.select(
                    response=(pl.col("orders") > 0).mean(), spend=pl.col("spend").mean(), orders=pl.col("orders").mean()
                ).row(0, named=True)
            )
        return {name: sums[0][name] - sums[1][name] for name in sums[0]}
