"""What an analyst looks at: attributes, groups beside each other and over time, and groups that are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from optinb.progress import progress
from optinb.workspace.comparing import compared, micro_segments_of, overlap_of, profile_of
from optinb.workspace.discovery import run_discovery
from optinb.workspace.over_time import sizes_of
from optinb.workspace.vocabulary import distribution_of, nights_of, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    import polars as pl

    from optinb.progress import Listener
    from optinb.rules import Rule
    from optinb.segments import Overlap, Profile
    from optinb.segments.discovery import Discovery
    from optinb.workspace.data import Reading
    from optinb.workspace.over_time import Sizes
    from optinb.workspace.vocabulary import Distribution, Vocabulary


class Looking:
    """The part of a workspace that analysts explore with."""

    @property
    def _reading(self) -> Reading:
        return cast("Reading", self)

    def vocabulary(self) -> Vocabulary:
        """Every name that rules can hold: attributes, events, apps, campaigns, groups and lists."""
        return vocabulary_of(self._reading)

    def distribution(self, attribute: str) -> Distribution:
        """How an attribute is distributed over all customers. Raises UsageError for one that isn't known."""
        return distribution_of(self._reading, attribute)

    def nights(self) -> tuple[date, ...]:
        """The nights whose customers were modelled and are kept, in order."""
        return nights_of(self._reading)

    def profile(self, rule: Rule | str) -> Profile:
        """What makes the customers of a rule or saved group different: attributes, the most different first.

        Raises RuleError when the rule doesn't fit the data.
        """
        return profile_of(self._reading, rule)

    def compare(self, one: Rule | str, other: Rule | str) -> Profile:
        """Two rules or saved groups side by side: attributes, the most different first.

        Who is in both counts on both sides. Raises RuleError when one of them doesn't fit the data.
        """
        return compared(self._reading, one, other)

    def overlap(self, groups: Iterable[str] | Mapping[str, Rule | str]) -> Overlap:
        """How many customers are in each combination of some saved groups, or of rules with names of one's choice.

        Raises RuleError for a group that isn't known, UsageError unless there are 2 to 12.
        """
        return overlap_of(self._reading, groups)

    def sizes(
        self,
        groups: Iterable[str],
        *,
        nights: int = 30,
        tell: Listener | None = None,
    ) -> Sizes:
        """How many customers some saved groups, as their rules are today, had on the newest nights.

        `tell` is told after each night that one more is done, and which is next; what it raises ends the count. A group
        that a night can't tell of has None there, with the reason. Without `tell`, a bar shows how far it is. Raises
        UsageError without a modelled night.
        """
        with progress("sizes", total=nights, unit="night", tell=tell) as step:
            return sizes_of(self._reading, groups, nights=nights, tell=step)

    def micro_segments(self) -> pl.DataFrame:
        """One row a micro-segment: stage, micro_segment, customers, and the means of what the models expect of them.

        Columns future_value (in the currency), churn_risk and reactivation_chance (0 to 1) are null where no customer
        has one; `about` describes the micro-segment in words. Raises UsageError before the customers are modelled.
        """
        return micro_segments_of(self._reading)

    def discover(
        self,
        target: Rule | str,
        *,
        within: Rule | str | None = None,
        exclude: Iterable[str] = (),
        include: Iterable[str] = (),
        depth: int = 3,
        min_size: int | None = None,
        limit: int = 12,
        tell: Listener | None = None,
    ) -> Discovery:
        """Groups of customers whose target is higher than everybody else's, as rules that can be saved.

        Args:
            target: a yes/no or number attribute (`"future_value"`), a rule (`~did("purchase").within(days=60)`), or the
                name of a saved group.
            within: a rule or saved group that bounds the customers looked at.
            exclude: attributes to leave out; ids, and what the target is made of, are left out in any case.
            include: attributes to look at although they are made of what the target is made of.
            depth: conditions in a group at most, 1 to 3.
            min_size: customers in a group at least; 0.5 % and not under 50 when left out.
            limit: groups at most.
            tell: is told that so many more hundredths are done, and what is next; what it raises ends the search.
                A bar shows it when left out.

        Raises RuleError for a target that isn't known or the same for everybody, too few customers, no attribute.
        """
        options = {"exclude": exclude, "include": include, "depth": depth, "min_size": min_size, "limit": limit}
        return run_discovery(self._reading, target, within, tell=tell, **options)
