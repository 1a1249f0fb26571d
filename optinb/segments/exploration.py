"""What an analyst looks at: rules on the data, attributes, groups beside each other and over time, and found ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING

from optinb.base.progress import OnProgress, progress
from optinb.errors import RuleError, UsageError, did_you_mean
from optinb.segments.tables_view import TablesView

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from optinb.base.settings import Engine
    from optinb.engine import Tables
    from optinb.rules import Rule
    from optinb.segments.discovery import Discovery
    from optinb.segments.explain import Explanation
    from optinb.segments.group_preview import Preview
    from optinb.segments.membership import Membership, Overlap, Sizes
    from optinb.segments.profile import Distribution, Profile, Vocabulary


class Exploration(TablesView):
    """What analysts explore with, on the version of the tables that is read."""

    def preview(self, rule: Rule | str, *, app_group: str | None = None, engine: Engine | None = None) -> Preview:
        """A rule, or a saved group by name, on the data: exact count, reach, and the way to who can get a push.

        Args:
            rule: a rule, the name of a saved group, or a rule as text.
            app_group: name or id of the app group whose apps reach and waterfall look at; all apps when left out.
            engine: "polars", "duckdb" or "spark", which finds the members; the one of the settings when left out.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
            SettingsError: for an app group that isn't known.
        """
        from optinb.segments.group_preview import preview_of

        return preview_of(self, rule, app_group=app_group, engine=engine)

    def explain(self, rule: Rule | str) -> Explanation:
        """How a rule or saved group is evaluated, and why nobody is lost by what is left out; print it.

        Args:
            rule: a rule, the name of a saved group, or a rule as text.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
        """
        from optinb.segments.compile import explain

        bound = self.groups.bound(rule)
        return explain(bound, self.tables_for(bound))

    def why_member(self, customer_id: str, rule: Rule | str) -> Membership:
        """Why a customer belongs to a rule or saved group, or doesn't: every part of it, and the value that was found.

        Args:
            customer_id: whom to look at.
            rule: a rule, the name of a saved group, or a rule as text.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
        """
        from optinb.segments.membership import why_member

        return why_member(self, customer_id, rule)

    def vocabulary(self) -> Vocabulary:
        """Every name that rules can hold: attributes, events, apps, campaigns, groups and lists."""
        from optinb.segments.profile import vocabulary_of

        return vocabulary_of(self, campaigns=self.contacts.campaigns)

    def distribution(self, attribute: str) -> Distribution:
        """How an attribute is distributed over all customers.

        Args:
            attribute: its name, delivered or of the models.

        Raises:
            UsageError: for an attribute that isn't known, or whose values can't be counted.
        """
        from optinb.segments.profile import distribution_of

        return distribution_of(self, attribute)

    def profile(self, rule: Rule | str) -> Profile:
        """What makes the customers of a rule or saved group different: attributes, the most different first.

        Args:
            rule: a rule, the name of a saved group, or a rule as text.

        Raises:
            RuleError: when the rule can't be read or doesn't fit the data.
        """
        from optinb.segments.profile import profile_of

        return profile_of(self, rule)

    def compare(self, one: Rule | str, other: Rule | str) -> Profile:
        """Two rules or saved groups side by side: attributes, the most different first.

        Who is in both counts on both sides.

        Args:
            one: a rule, the name of a saved group, or a rule as text.
            other: what it is compared with, given in the same way.

        Raises:
            RuleError: when one of them can't be read or doesn't fit the data.
        """
        from optinb.segments.profile import profile_of

        return profile_of(self, one, other)

    def overlap(self, groups: Iterable[str] | Mapping[str, Rule | str]) -> Overlap:
        """How many customers are in each combination of some saved groups, or of rules with names of one's choice.

        Args:
            groups: 2 to 12 names of saved groups, or rules by a name for each: `{"young": attr("age") < 30, ...}`.

        Raises:
            RuleError: for a group that isn't known, or a rule that doesn't fit the data.
            UsageError: for fewer than 2 or more than 12 of them, or something that is no name.
        """
        from optinb.segments.membership import overlap_of

        return overlap_of(self, groups)

    def sizes(self, groups: Iterable[str], *, nights: int = 30, on_progress: OnProgress | None = None) -> Sizes:
        """How many customers some saved groups, as their rules are today, had on the newest nights.

        Args:
            groups: names of saved groups.
            nights: how many nights at most.
            on_progress: is told after each night that one more is done, and which is next; what it raises ends the
                count. A bar shows how far it is when left out.

        Returns:
            the sizes by night; where a night can't tell of a group, None with the reason.

        Raises:
            UsageError: without a modelled night, or for too many nights.
        """
        from optinb.segments.membership import sizes_of

        with progress("sizes", total=nights, unit="night", on_progress=on_progress) as step:
            return sizes_of(self, groups, nights=nights, on_progress=step)

    def micro_segments(self) -> pl.DataFrame:
        """One row a micro-segment, the largest first.

        Returns:
            a frame with stage (that of most of its customers) and micro_segment (text), customers (Int64), the means
            future_value (in the currency), churn_risk and reactivation_chance (0 to 1, all Float64, null where no
            customer has one), and about (text), which describes it in words.

        Raises:
            UsageError: before the customers are modelled.
        """
        import polars as pl

        from optinb.customers.modelling import segmentation

        customers = self.customers()
        known = customers.collect_schema()
        if "micro_segment" not in known:
            raise UsageError("the customers aren't modelled yet: run ws.model() or `optinb model`")
        means = [
            (pl.col(name).mean() if name in known else pl.lit(None, pl.Float64)).alias(name)
            for name in ("future_value", "churn_risk", "reactivation_chance")
        ]
        stage = pl.col("stage").mode().sort().first()
        grouped = customers.group_by("micro_segment").agg(stage, pl.len().cast(pl.Int64).alias("customers"), *means)
        found = grouped.sort(["customers", "micro_segment"], descending=[True, False]).collect()
        labels = segmentation(self.snapshot())
        about = ["; ".join(labels.describe(name)) if labels and name else "" for name in found["micro_segment"]]
        return found.with_columns(pl.Series("about", about, dtype=pl.String))

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
        overlapping: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Discovery:
        """Groups of customers whose target is higher than everybody else's, as rules that can be saved.

        Each says whether it held on an earlier day, about half a year before, where the customers of then are kept.

        Args:
            target: a yes/no or number attribute (`"future_value"`), a rule (`~did("purchase").within(days=60)`), or the
                name of a saved group.
            within: a rule or saved group that bounds the customers looked at.
            exclude: attributes to leave out; ids, and what the target is made of, are left out in any case.
            include: attributes to look at although they are made of what the target is made of, or tell it nearly
                always.
            depth: conditions in a group at most, 1 to 3.
            min_size: customers in a group at least; 0.2 % and not under 50 when left out.
            limit: groups at most.
            overlapping: whether groups may overlap; else each is measured on those whom no stronger group holds.
            on_progress: is told that so many more hundredths are done, and what is next; what it raises ends the
                search. A bar shows how far it is when left out.

        Raises:
            RuleError: for a target that isn't known or is the same for everybody, for too few customers, or when there
                is no attribute to look at.
        """
        # scipy takes a while to import, and most who open a workspace discover nothing
        from optinb.customers import declared_features, labels_of
        from optinb.engine import kinds
        from optinb.segments.discovery import discover
        from optinb.segments.restated import made_of_purchases

        wanted, tables = self._target(target), self.tables()
        among = None if within is None else self.groups.bound(within)
        with progress("discover", on_progress=on_progress) as step:
            found = discover(
                tables,
                wanted,
                within=among,
                exclude=exclude,
                include=include,
                depth=depth,
                min_size=min_size,
                limit=limit,
                overlapping=overlapping,
                of_purchases=made_of_purchases(declared_features(self.settings.features)),
                labels=labels_of(kinds(tables.customer_schema), self.settings.labels),
                on_progress=step,
            )
            return self._with_earlier(found, wanted, among)

    def _with_earlier(self, found: Discovery, target: Rule | str, within: Rule | None) -> Discovery:
        """What was found, with how each group did on an earlier day, or why that can't be told."""
        from msgspec.structs import replace

        from optinb.customers import declared_features
        from optinb.customers.attributes import days_behind
        from optinb.rules import attributes_of
        from optinb.segments.discovery.earlier import earlier_day, held_before

        if not found.findings:
            return found
        kept = [delivery.run_date for delivery in self.snapshot().contents.deliveries]
        behind = days_behind(declared_features(self.settings.features))
        day = earlier_day(kept, found.run_date, target, behind=behind)
        if isinstance(day, str):
            return replace(found, not_earlier=day)
        rules = [rule for rule in (target, within) if rule is not None and not isinstance(rule, str)]
        asked = {target} if isinstance(target, str) else set[str]()
        asked.update(*(attributes_of(rule) for rule in (*rules, *(finding.condition for finding in found))))
        return held_before(found, self._featured_on(day, rules, asked), target, within)

    def _featured_on(self, day: date, rules: Iterable[Rule], asked: Set[str]) -> Tables:
        """What rules read as it was on a past day, with those features of then that are asked about.

        They are made once: left lazy, every finding would read all purchases again.
        """
        from dataclasses import replace

        import narwhals as nw

        from optinb.customers import declared_features
        from optinb.customers.features import build_features

        tables, snapshot = self.tables_on(day, *rules), self.snapshot()
        customers = tables.customers.to_native()
        kept = customers.collect_schema()
        features = build_features(
            snapshot.table("customers"),
            snapshot.scan("transactions"),
            snapshot.table("app_users"),
            run_date=day,
            time_zone=self.settings.workspace.time_zone,
            events=snapshot.scan("events"),
            declared=declared_features(self.settings.features, taken=snapshot.schema("customers")),
        )
        new = [name for name in features.collect_schema() if name in asked and name not in kept]
        if new:
            made = features.select("customer_id", *new).collect().lazy()
            customers = customers.join(made, on="customer_id", how="left")
        return replace(tables, customers=nw.from_native(customers.lazy()))

    def _target(self, target: Rule | str) -> Rule | str:
        """An attribute by its name; else the rule, or that of a group's name or a text. Raises RuleError."""
        from optinb.engine import kinds

        if not isinstance(target, str):
            return self.groups.bound(target)
        tables = self.tables()
        attributes = kinds(tables.customer_schema)
        if target in attributes:
            return target
        try:
            return self.groups.bound(target)
        except RuleError as error:
            if not target.isidentifier():
                raise
            if target in tables.not_modelled:
                raise RuleError(f"no model tells {target!r}: {tables.not_modelled[target]}") from error
            known = did_you_mean(target, [*attributes, *(group.name for group in self.groups.list())])
            raise RuleError(f"the target {target!r} is neither an attribute nor a saved group{known}") from error
