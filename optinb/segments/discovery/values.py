"""What discovery finds, as values."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from optinb.base.figures import figure
from optinb.rules import Rule, sentence, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


class Finding(Struct, frozen=True, kw_only=True):
    """A group whose target is higher than everybody else's; `ws.groups.save(name, finding.rule)` keeps it.

    Size and share are of all customers looked at. The rates are those of the half of the customers that was not
    searched, so that luck in the search doesn't flatter them; of a number, a rate is its average.

    Attributes:
        rule: who is in the group, `within` included.
        condition: the rule without `within`.
        size: customers in the group: exactly those of `ws.members(rule)`.
        share: of all customers looked at, 0 to 1.
        rate: yes customers in the group (0 to 1), or the number's average there.
        rate_outside: the same of the others looked at.
        low, high: the 95 % interval of `rate - rate_outside`.
        captured: the part of all yes customers (or of the number's sum) that is in the group; None for a sum below 0.
        q_value: the share of false groups among those as strong as this one, over everything that was tested.
        p_confirmed: the chance of such a difference on the other half if there were none.
    """

    rule: Rule
    condition: Rule
    size: int
    share: float
    rate: float
    rate_outside: float
    low: float
    high: float
    captured: float | None
    q_value: float
    p_confirmed: float

    @property
    def sentence(self) -> str:
        """The group read aloud, without `within`."""
        return sentence(self.condition)

    @property
    def text(self) -> str:
        """The rule as people write it."""
        return to_text(self.rule)

    @property
    def lift(self) -> float | None:
        """How many times the others' rate the group has; None where the others have none."""
        return self.rate / self.rate_outside if self.rate_outside > 0 else None


class Discovery(Struct, frozen=True, kw_only=True):
    """The groups that were found for a target, the strongest first.

    Attributes:
        target, within: what was looked for, and among whom (None: everybody), as sentences.
        kind: of the target.
        customers: who was looked at; `known` are those of them whose target is known.
        rate: the target's rate (or average) among the known.
        tested: how many combinations of conditions were tested.
        attributes: which attributes were looked at.
        left_out: attributes that were not, with the reason.
        warnings: what to know before believing the result.
    """

    target: str
    kind: Literal["yes/no", "number"]
    within: str | None
    run_date: date
    customers: int
    known: int
    rate: float
    tested: int
    attributes: tuple[str, ...]
    left_out: dict[str, str]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, place: int) -> Finding:
        return self.findings[place]

    def table(self) -> pl.DataFrame:
        """The findings as a frame to read, one row each, the strongest first; all of its figures but `size` are text.

        Whoever reckons with them takes the numbers of a finding: `found[0].rate`.
        """
        import polars as pl

        figures = ("share", "rate", "rate_outside", "lift", "low", "high", "captured", "q_value", "p_confirmed")
        rows = [(f.sentence, f.size, *(figure(getattr(f, name)) for name in figures), f.text) for f in self.findings]
        schema = {"sentence": pl.String, "size": pl.Int64, **dict.fromkeys((*figures, "rule"), pl.String)}
        return pl.DataFrame(rows, schema=schema, orient="row")
