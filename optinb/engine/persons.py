"""Customers of one night as people: whose an earlier contact is, who is there twice, and who is drawn together.

A contact is of everybody who is that person tonight: by its customer id, over `persons` of the published version, or
because its external user id, which is what Appboy writes to, belongs to them now. Nearly everybody is simply their own
customer id, and costs nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

    from optinb.warehouse import Snapshot


def in_share(ids: pl.Series, *, salt: str, share: float) -> pl.Series:
    """Whether each id falls into a share of all customers.

    The first 64 bits of MD5(salt, unit separator, id), read little-endian, are compared with `share * 2**64`. MD5 is
    not a secret here, only an even and lasting spread: library hashes change between versions, and with them the
    control groups would.

    Args:
        ids: text, any order.
        salt: what makes this draw independent of others, such as a campaign id.
        share: 0 to 1.

    Returns:
        booleans in the order of `ids`.
    """
    if not 0 < share < 1 or not len(ids):
        return pl.repeat(share >= 1, len(ids), dtype=pl.Boolean, eager=True).alias("in_share")
    limit = min(int(share * 2**64), 2**64 - 1)
    drawn = ids.cast(pl.String).to_frame("id").with_row_index("place")
    with _engine().cursor() as con:
        con.register("drawn", drawn.to_arrow())
        return (
            con.sql(
                "select md5_number_upper($salt || chr(31) || id) < $limit::ubigint as in_share "
                "from drawn order by place",
                params={"salt": salt, "limit": limit},
            )
            .pl()
            .to_series()
        )


def spread(ids: pl.Series, *, salt: str) -> NDArray[np.float64]:
    """A number between 0 and 1 for each id, by the same lasting hash as `in_share`; neither end is among them.

    Args:
        ids: text, any order.
        salt: what makes this spread independent of others.

    Returns:
        shape (n,), in the order of `ids`.
    """
    if not len(ids):
        return np.empty(0)
    spread = ids.cast(pl.String).to_frame("id").with_row_index("place")
    with _engine().cursor() as con:
        con.register("spread", spread.to_arrow())
        hashed = con.sql(
            "select md5_number_upper($salt || chr(31) || id) as hash from spread order by place", params={"salt": salt}
        ).pl()["hash"]
    return (hashed.to_numpy().astype(np.float64) + 0.5) / 2.0**64 * (1 - 2.0**-52)


@cache
def _engine() -> DuckDBPyConnection:
    """One engine for all draws: to open one takes longer than to draw from thousands."""
    import duckdb

    return duckdb.connect(config={"autoinstall_known_extensions": "false"})


PERSONS = pl.Schema({"customer_id": pl.String, "person_id": pl.String, "drawn": pl.Boolean})


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a version knows of people.

    persons: with PERSONS, the ids whose person has another name; None where nobody looked for them, and customers who
        share an external user id are to be found here.
    replaced: ids that a newer id of the same person has replaced.
    """

    persons: pl.DataFrame | None = None
    replaced: frozenset[str] = frozenset()

    @classmethod
    def of(cls, snapshot: Snapshot) -> Identity:
        """What a published version knows."""
        if not snapshot.has("persons"):
            return cls()
        links = snapshot.table("customer_ids").filter(pl.col("source") == "customer_ids").select("old").collect()
        return cls(persons=snapshot.table("persons").collect(), replaced=frozenset(links["old"]))

    def ids_of(self, customer_id: str) -> tuple[str, ...]:
        """Every id of the person who has this one, itself first."""
        if self.persons is None:
            return (customer_id,)
        told = self.persons.filter(pl.col("customer_id") == customer_id)["person_id"]
        person = told[0] if len(told) else customer_id
        others = self.persons.filter(pl.col("person_id") == person)["customer_id"]
        return tuple(dict.fromkeys((customer_id, person, *others)))


class _Groups(NamedTuple):
    """People with several ids.

    `ids`: customer_id, group, drawn, replaced; `places`: group, place; their group by place, their person by group.
    """

    ids: pl.DataFrame
    places: pl.DataFrame
    by_place: NDArray[np.int32]
    person_ids: pl.Series


class Persons:
    """The customers of a night by place, counted from 0 in the order in which they are given."""

    def __init__(self, customers: pl.DataFrame, identity: Identity) -> None:
        """Args: `customers`: customer_id, external_user_id, one row each; `identity`: of the same version."""
        self.index: pl.DataFrame = customers.select("customer_id").with_row_index("place")
        self._external = customers["external_user_id"]
        self._identity = identity

    @cached_property
    def _groups(self) -> _Groups | None:
        persons = self._identity.persons
        found = self._sharing() if persons is None else persons
        if found.is_empty():
            return None
        names = found.select(customer_id="person_id", person_id="person_id", drawn=pl.lit(True)).unique()
        ids = pl.concat([found.select(PERSONS.names()), names]).unique("customer_id", keep="last")
        numbers = names.select("person_id").sort("person_id").with_row_index("group")
        ids = ids.join(numbers, on="person_id").select(
            "customer_id",
            "group",
            "drawn",
            replaced=pl.col("customer_id").is_in(pl.Series(sorted(self._identity.replaced), dtype=pl.String).implode()),
        )
        places = ids.join(self.index, on="customer_id").select("group", "place").sort("place")
        by_place = np.full(self.index.height, -1, np.int32)
        by_place[places["place"].to_numpy()] = places["group"].to_numpy()
        return _Groups(ids, places, by_place, numbers["person_id"])

    def _sharing(self) -> pl.DataFrame:
        external = self._external
        if external.n_unique() == len(external):
            return pl.DataFrame(schema=PERSONS)
        rows = pl.DataFrame({"customer_id": self.index["customer_id"], "external": external})
        shared = rows.filter(pl.col("external").is_duplicated(), pl.col("external") != "")
        named = shared.with_columns(person_id=pl.col("customer_id").min().over("external"), drawn=pl.lit(False))
        return named.filter(pl.col("customer_id") != pl.col("person_id")).select(PERSONS.names())

    @property
    def numbers(self) -> NDArray[np.int32]:
        """By place the number of the person, for those who have several ids; -1 for all others."""
        return np.full(self.index.height, -1, np.int32) if self._groups is None else self._groups.by_place

    @cached_property
    def has_twins(self) -> bool:
        """Whether some person is there more than once."""
        return self._groups is not None and bool(self._groups.places["group"].is_duplicated().any())

    def pairs(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`row` (from 0) and `place` of everybody whom a row is about, each pair once.

        `rows`: customer_id and, where it is known, external_user_id of then.
        """
        numbered = rows.with_row_index("row")
        direct = numbered.join(self.index, on="customer_id", how="inner")
        parts = [direct.select("row", "place")]
        if "external_user_id" in rows.columns:
            parts += self._moved(numbered, direct)
        if self._groups is not None:
            parts += self._of_groups(numbered, pl.concat(parts))
        return parts[0] if len(parts) == 1 else pl.concat(parts).unique().sort("row", "place")

    def _moved(self, numbered: pl.DataFrame, direct: pl.DataFrame) -> list[pl.DataFrame]:
        """Whose external user ids are today that those of then haven't got any more."""
        now = self._external.gather(direct["place"])
        moved = direct.filter((now != direct["external_user_id"]).fill_null(True)).select("row", "external_user_id")
        if direct.height < numbered.height:
            gone = numbered.join(direct.select("row"), on="row", how="anti").select("row", "external_user_id")
            moved = pl.concat([moved, gone])
        moved = moved.filter(pl.col("external_user_id").is_not_null(), pl.col("external_user_id") != "")
        if moved.is_empty():
            return []
        holders = pl.DataFrame({"external_user_id": self._external, "place": self.index["place"]})
        return [moved.join(holders, on="external_user_id", how="inner").select("row", "place")]

    def _of_groups(self, numbered: pl.DataFrame, found: pl.DataFrame) -> list[pl.DataFrame]:
        """Everybody else who is the person of one that was found, or of an id that is in no table any more."""
        groups = self._groups
        assert groups is not None
        mine = groups.by_place[found["place"].to_numpy()]
        hit = pl.DataFrame({"row": found["row"], "group": mine}).filter(pl.col("group") >= 0)
        named = numbered.join(groups.ids.select("customer_id", "group"), on="customer_id", how="inner")
        several = pl.concat([hit.cast({"group": pl.UInt32}), named.select("row", "group")]).unique()
        return [several.join(groups.places, on="group", how="inner").select("row", "place")]

    def places(self, rows: pl.DataFrame) -> tuple[NDArray[np.uint32], NDArray[np.uint16] | None]:
        """The places, ascending and each once, of everybody whom some rows (as of `pairs`) are about.

        With it, how many of the rows are about each, or None where that is one for everybody.
        """
        if self._groups is None and "external_user_id" not in rows.columns:
            found = rows.join(self.index, on="customer_id", how="inner")["place"].to_numpy()
        else:
            found = self.pairs(rows)["place"].to_numpy()
        there = np.zeros(self.index.height, np.bool_)
        there[found] = True
        places = np.flatnonzero(there).astype(np.uint32)
        if len(places) == len(found):
            return places, None
        return places, np.bincount(found, minlength=self.index.height)[places].astype(np.uint16)

    def today(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with today's customer ids: one for everybody whom each is about, without external_user_id."""
        told = self.pairs(rows.select(c for c in ("customer_id", "external_user_id") if c in rows.columns))
        ids = self.index["customer_id"].gather(told["place"])
        others = rows.drop("customer_id", "external_user_id", strict=False)[told["row"]]
        return others.with_columns(customer_id=ids).select(c for c in rows.columns if c != "external_user_id")

    @cached_property
    def earlier_ids(self) -> pl.DataFrame:
        """`earlier` and customer_id: other ids of people who have several, gone or not, with their id of today."""
        if self._groups is None:
            return pl.DataFrame(schema={"earlier": pl.String, "customer_id": pl.String})
        told = self._groups.places.with_columns(now=self.index["customer_id"].gather(self._groups.places["place"]))
        pairs = self._groups.ids.select("group", earlier="customer_id").join(told, on="group", how="inner")
        return pairs.filter(pl.col("earlier") != pl.col("now")).select("earlier", customer_id="now")

    def doubles(self, places: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which of some places are a person who is among them with a newer id, or with one that stands before."""
        extra = np.zeros(len(places), np.bool_)
        if not self.has_twins or self._groups is None:
            return extra
        several = np.flatnonzero(self._groups.by_place[places] >= 0)
        rows = pl.DataFrame({"at": several, "place": places[several]}).with_columns(
            group=pl.Series(self._groups.by_place[places[several]]),
            customer_id=self.index["customer_id"].gather(places[several]),
        )
        replaced = self._groups.ids.select("customer_id", "replaced")
        rows = rows.join(replaced, on="customer_id", how="left").sort("group", "replaced", "customer_id")
        extra[rows.filter(~pl.col("group").is_first_distinct())["at"].to_numpy()] = True
        return extra

    def drawn(self, places: NDArray[np.uint32], *, salt: str, share: float) -> NDArray[np.bool_]:
        """Who of some places falls into a share by the hash of their person; see `in_share`.

        Of people who turned out to be one, each of whom was drawn for, it's enough that one does.
        """
        ids = self.index["customer_id"]
        found = in_share(ids if len(places) == len(ids) else ids.gather(places), salt=salt, share=share).to_numpy()
        if self._groups is None:
            return found
        found = found.copy()
        mine = self._groups.by_place[places]
        found[mine >= 0] = self._drawn_groups(salt, share)[0][mine[mine >= 0]]
        return found

    def dealt(self, places: NDArray[np.uint32], *, salt: str, shares: Mapping[str, float]) -> NDArray[np.int8]:
        """Which of some names each of some places gets, by the hash of their person and in given shares.

        Highest random weight with weights (Thaler, Ravishankar, A name-based mapping scheme for rendezvous, 1996; in
        the logarithmic form of Schindelhauer, Schomaker, Weighted distributed hash tables, 2005): where a name goes
        away or its share changes, nobody changes but those whom it lost or won.

        Args:
            places: of the customers.
            salt: makes this draw independent of others.
            shares: the weight of each name.

        Returns:
            the number of the name, in their order, for each place.
        """
        if len(shares) < 2 or not len(places):
            return np.zeros(len(places), np.int8)
        ids = self.index["customer_id"].gather(places)
        if self._groups is not None:
            mine = self._groups.by_place[places]
            names = self._groups.person_ids.gather(np.maximum(mine, 0))
            ids = pl.select(pl.when(pl.Series(mine >= 0)).then(names).otherwise(ids)).to_series()
        waits = [-np.log(spread(ids, salt=f"{salt}\x1f{name}")) / share for name, share in shares.items()]
        return np.argmin(np.stack(waits), axis=0).astype(np.int8)

    def kept_by_merge(self, places: NDArray[np.uint32], *, salt: str, share: float) -> int:
        """How many of some places are drawn only because another of the ids that were merged is."""
        if self._groups is None or not len(places):
            return 0
        mine = self._groups.by_place[places]
        some, all_of_them = self._drawn_groups(salt, share)
        return int((some & ~all_of_them)[mine[mine >= 0]].sum())

    def _drawn_groups(self, salt: str, share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """For each group whether some, and whether all, of the ids that were drawn for fall into a share."""
        assert self._groups is not None
        ids = self._groups.ids.filter("drawn").sort("group", "customer_id")
        told = ids.with_columns(within=in_share(ids["customer_id"], salt=salt, share=share))
        by_group = told.group_by("group").agg(some=pl.col("within").any(), all=pl.col("within").all()).sort("group")
        return by_group["some"].to_numpy(), by_group["all"].to_numpy()
