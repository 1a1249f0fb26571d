"""Customer ids from a person's file or program: what is one, what a spreadsheet has spoilt, what is no customer's."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from msgspec import Struct

from optinb.errors import UsageError
from optinb.warehouse.delimited import SHORTENED, WHOLE_FLOAT, name_lines
from optinb.warehouse.limits import UnreadableError
from optinb.warehouse.tabular import Wanted, read_column, without_header

MAX_IDS = 10_000_000
SHOWN = 5  # ids that a warning names
NAMES = frozenset({"customerid"})
EXTERNAL_NAMES = frozenset({"externaluserid", "externalid"})  # the second as Appboy's own exports have it


class KnownIds(Struct, frozen=True, kw_only=True):
    """How many ids of a list are no customers, and what about those looks like a spreadsheet's work."""

    unknown: int
    warnings: tuple[str, ...] = ()


def read_ids(
    path: Path,
    *,
    column: str | None = None,
    header: bool | None = None,
    customers: pl.LazyFrame | None = None,
    are_external: bool = False,
) -> pl.Series:
    """The customer ids, or the external user ids, in a file; `column` and `header` as in `Lists.save`.

    `customers`: customer_id of the published tables, or what stands for it where the ids `are_external`.

    Raises UsageError naming the file and the remedy.
    """

    def is_customer(cell: str) -> bool:
        return customers is not None and not customers.filter(pl.col("customer_id") == cell).collect().is_empty()

    what, name, names = ("customer ids", "customer_id", NAMES)
    if are_external:
        what, name, names = ("external user ids", "external_user_id", EXTERNAL_NAMES)
    wanted = Wanted(what=what, name=name, names=names, column=column, header=header, known=is_customer)
    try:
        found = without_header(read_column(path, wanted), wanted)
    except OSError as error:
        raise UsageError(f"the list {path} can't be read: {error.strerror}; name a file of {what}") from error
    except UnreadableError as error:
        raise UsageError(f"the list {path} can't be taken: {error}. Nothing was saved") from error
    for pattern, what in (
        (SHORTENED, "is a long number as a spreadsheet shortens it, and which id it was is lost"),
        (WHOLE_FLOAT, "is a number with decimals, and ids have none"),
    ):
        matches = [at for at, cell in enumerate(found.cells) if pattern.fullmatch(cell)]
        wrong = [at for at in matches if not is_customer(found.cells[at])] if len(matches) < SHOWN else matches
        if wrong:
            raise UsageError(
                f"the list {path} can't be taken: {name_lines([found.lines[at] for at in wrong])} "
                f"({found.cells[wrong[0]]!r}) {what}; format the column of the ids as text, fill it again and save it. "
                "Nothing was saved"
            )
    return ids_of(zip(found.lines, found.cells, strict=True), source=f"the list {path}")


def ids_of(numbered: Iterable[tuple[int, str | None]], *, source: str = "the list") -> pl.Series:
    """Ids with the line (or place) of each, as customers are known by them. Raises UsageError for what is none."""
    kept = []
    for line, one in numbered:
        if one is not None and not isinstance(one, str):
            raise UsageError(f"{one!r} in place {line} of {source} is no text; customer ids are texts")
        text = unicodedata.normalize("NFC", (one or "").strip())
        if not text:
            continue
        if len(text) > 512 or not text.isprintable():
            raise UsageError(f"{text[:60]!r} in line {line} of {source} is no customer id")
        kept.append(text)
        if len(kept) > MAX_IDS:
            raise UsageError(f"{source} has more than {MAX_IDS:,} ids; write a rule for so many")
    return pl.Series("customer_id", kept, dtype=pl.String)


def compare(ids: pl.DataFrame, customers: pl.LazyFrame) -> KnownIds:
    """What a list's ids (customer_id, each once) are beside those of all customers."""
    here = pl.col("customer_id")
    unknown = ids.lazy().join(customers, on="customer_id", how="anti").collect()
    digits = unknown.filter(here.str.contains(r"^[0-9]+$"))
    warnings = []
    if digits.height:
        padded = customers.filter(here.str.contains(r"^0[0-9]+$")).select(
            padded="customer_id", customer_id=here.str.strip_chars_start("0")
        )
        bare = digits.with_columns(listed=here, customer_id=here.str.strip_chars_start("0"))
        lost = bare.lazy().join(padded, on="customer_id").sort("listed", "padded").collect()
        if lost.height:
            pairs = ", ".join(f"{a} for {b}" for a, b in lost.select("listed", "padded").head(SHOWN).iter_rows())
            warnings.append(
                f"{lost['listed'].n_unique():,} unknown ids would be customers with other zeros in front ({pairs}): a "
                "spreadsheet takes them away; format the column as text, fill it again and save the list again"
            )
        rounded = digits.filter(here.str.len_chars() > 15, here.str.contains(r"^[0-9]{15}0+$"))
        if rounded.height:
            warnings.append(
                f"{rounded.height:,} unknown ids such as {rounded['customer_id'][0]} have only zeros after the 15th "
                "digit, as a spreadsheet rounds them; format the column as text, fill it again and save the list again"
            )
    return KnownIds(unknown=unknown.height, warnings=tuple(warnings))
