"""The SELECT that reads one file's rows into a staging table, built from `contract.py`. Pure: text in, text out.

A row is refused for its first complaint, except that of a whole table, and of merges, only what every row needs
refuses a row: there an optional value that can't be read is emptied, and the row stays, since one bad value is no
reason to lose a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from optinb.warehouse.checks import CheckContext, complaints, parsed
from optinb.warehouse.contract import CUSTOMER_IDS, Column, Table
from optinb.warehouse.limits import Facts
from optinb.warehouse.sql import ident, literal, local_from_utc

# Complaints of a value that is emptied are numbered from 1 in so many bits of `unfit`.
_BITS = 3
UNPRINTABLE = 1 << 62  # the bit of `unfit` that says that some attribute holds a NUL character
MOST_COUNTED = 62  # columns whose missing words are counted one by one; the last bit of `words` is all others'


def stage_query(
    table: Table,
    columns: Sequence[str],
    relation: str,
    *,
    attributes: Sequence[str],
    context: CheckContext,
    lines: bool,
    facts: Facts,
    defaults: Collection[str],
) -> str:
    """SELECT of one file's rows: stored values, attributes a0, a1, … as text, reason, unfit, words, a reject's cells.

    `columns[i]` names cell `ci` of `relation`; `lines`: the relation has a text `broken`, what is wrong with the line.
    What `facts` rule out isn't looked for. `defaults`: the columns whose missing values get the contract's default.
    `unfit` tells the values that were emptied (`emptied_values`), `words` in which columns a word for a missing value
    stood (`word_columns`), both only of tables with marks; `cells` is JSON, of rows that are refused, or of which a
    value was emptied.
    """
    at = {name: f"c{i}" for i, name in enumerate(columns) if name}

    def cell(name: str, *, is_text: bool) -> str:
        if name not in at:
            return "NULL::VARCHAR"
        # A CSV cell without a character is null already.
        text = at[name] if facts.trimmed else f"nullif(trim({at[name]}), '')"
        return f"nfc_normalize({text})" if is_text and not facts.ascii else text

    raw = [f"{cell(c.name, is_text=c.kind in ('key', 'text'))} AS {ident('x_' + c.name)}" for c in table.columns]
    raw += [f"{cell(name, is_text=True)} AS x{i}" for i, name in enumerate(attributes)]
    tests = _word_tests(table, attributes, at, context)
    texts = [f"{_without(tests.get(c.name), ident('x_' + c.name))} AS {ident('t_' + c.name)}" for c in table.columns]
    texts += [f"{_without(tests.get(name), f'x{i}')} AS a{i}" for i, name in enumerate(attributes)]
    counted = word_columns(table, attributes)
    bits = [
        f"CASE WHEN {test} THEN {1 << min(counted.index(name), MOST_COUNTED)} ELSE 0 END"
        for name, test in tests.items()
    ]
    local = [
        f"TRY_CAST({ident('t_' + column.name)} AS TIMESTAMP) AS {ident('p_' + column.name)}"
        for column in table.columns
        if column.kind == "time"
    ]
    values = [f"{parsed(column, context)} AS {ident('v_' + column.name)}" for column in table.columns]
    refusing = [
        complaint
        for column in table.columns
        if (column.name in at and not _is_emptied(table, column)) or column.required
        for complaint in complaints(column, context.latest, facts)
    ]
    cases = " ".join(f"WHEN {test} THEN {literal(reason)}" for test, reason in refusing) or "WHEN false THEN ''"
    broken = "coalesce(broken, " * lines
    emptying = list(_emptying(table, context, facts, at))
    unfit = [
        f"CASE {' '.join(f'WHEN {test} THEN {n << shift}' for n, (test, _) in enumerate(found, start=1))} ELSE 0 END"
        f" AS {ident('u_' + column.name)}"
        for shift, column, found in emptying
    ]
    if not facts.printable and attributes:
        holds = " OR ".join(f"contains(a{i}, chr(0))" for i in range(len(attributes)))
        unfit.append(f"CASE WHEN {holds} THEN {UNPRINTABLE} ELSE 0 END AS u")
    marks = [ident("u_" + column.name) for _, column, _ in emptying] + ["u"] * (
        not facts.printable and bool(attributes)
    )
    marks_too, or_unfit = ("unfit, words, ", " OR unfit <> 0") if has_marks(table) else ("", "")
    everything = f"[{', '.join(f'c{i}' for i in range(len(columns)))}]::VARCHAR[]"
    emptied = {column.name for _, column, _ in emptying}
    kept = [f"a{i}" for i in range(len(attributes))]
    return (
        f"SELECT {', '.join([*_stored_values(table, context, emptied=emptied, defaults=defaults), *kept])}, reason, "
        f"{marks_too}CASE WHEN reason IS NOT NULL{or_unfit} THEN to_json({everything})::VARCHAR END AS cells "
        f"FROM (SELECT *, {' + '.join(marks) or '0'} AS unfit FROM ("
        f"SELECT {', '.join(['*', *unfit])}, {broken}CASE {cases} END{')' * lines} AS reason FROM ("
        f"SELECT *, {', '.join(values)} FROM ("
        f"SELECT {', '.join(['*', *local])} FROM ("
        f"SELECT *, {', '.join(texts)}, {' + '.join(bits) or '0'} AS words FROM ("
        f"SELECT *, {', '.join(raw)} FROM {relation}))))))"
    )


def stage_columns(table: Table, attributes: int) -> str:
    """Column definitions of the staging table that takes `stage_query`."""
    columns = [f"{ident(name)} {kind}" for name, kind in table.stored().items()]
    columns += [f"a{i} VARCHAR" for i in range(attributes)]
    marks = ["unfit BIGINT", "words BIGINT"] if has_marks(table) else []
    return ", ".join([*columns, "reason VARCHAR", *marks, "cells VARCHAR"])


def has_marks(table: Table) -> bool:
    """Whether values of a table are emptied or words for nothing; of tables by day neither, which saves two columns."""
    return table.by_day is None


def emptied_values(table: Table, context: CheckContext) -> Iterator[tuple[str, str, str]]:
    """(column, test of `unfit`, reason) of every complaint for which an optional value is emptied."""
    for shift, column, found in _emptying(table, context, Facts(), {c.name for c in table.columns}):
        for number, (_, reason) in enumerate(found, start=1):
            yield column.name, f"(unfit >> {shift}) & {(1 << _BITS) - 1} = {number}", reason


def word_columns(table: Table, attributes: Sequence[str]) -> list[str]:
    """The columns in which a word may stand for a missing value: bit n of `words` is that of the n-th."""
    return [column.name for column in table.columns if _is_emptied(table, column)] + list(attributes)


def is_word(text: str, context: CheckContext, *, is_day: bool = False) -> str:
    """A test whether a text only says that there is no value; `is_day`: also whether it is a day that doesn't exist."""
    words = sorted({word.lower() for word in context.missing if word})
    some = f"({', '.join(map(literal, words))})"
    longest = max((len(word.encode()) for word in words), default=0)
    letters = ", ".join(sorted({str(ord(letter)) for word in words for letter in (word[0], word[0].upper())}))
    # Databases write days that don't exist for one that isn't known.
    day = f"WHEN strlen({text}) IN (10, 19) THEN {text} LIKE '____-__-00%' " * is_day
    # Most cells are too long, or begin with another letter: each is asked the cheaper question first.
    word = f"WHEN ord({text}) IN ({letters}) THEN lower({text}) IN {some} " * bool(words)
    return f"(CASE {day}WHEN strlen({text}) > {longest} THEN false {word}ELSE false END)"


def _word_tests(table: Table, attributes: Sequence[str], at: Collection[str], context: CheckContext) -> dict[str, str]:
    """For each delivered column in which it may be so: a test whether its text only says that there is no value."""
    found = {
        c.name: is_word(ident("x_" + c.name), context, is_day=c.kind in ("date", "time"))
        for c in table.columns
        if c.name in at and _is_emptied(table, c)
    }
    return found | {name: is_word(f"x{i}", context, is_day=True) for i, name in enumerate(attributes) if name in at}


def _without(test: str | None, text: str) -> str:
    return text if test is None else f"CASE WHEN {test} THEN NULL ELSE {text} END"


def _is_emptied(table: Table, column: Column) -> bool:
    # who is lost from customer_ids is taken for two people, and written to twice
    return (table.whole or table is CUSTOMER_IDS) and not column.required


def _emptying(
    table: Table, context: CheckContext, facts: Facts, at: Collection[str]
) -> Iterator[tuple[int, Column, list[tuple[str, str]]]]:
    """Place in `unfit`, column and complaints of every delivered column whose bad values are emptied."""
    shift = 0
    for column in table.columns:
        if _is_emptied(table, column):
            found = complaints(column, context.latest, facts)
            if found and column.name in at:
                yield shift, column, found
            shift += _BITS


def _stored_values(
    table: Table, context: CheckContext, *, emptied: Collection[str], defaults: Collection[str]
) -> list[str]:
    """The stored columns from the parsed values `v_…`: with defaults, times in UTC, the day in the workspace's zone."""
    of_row = {"customer_id": ident("v_customer_id"), "currency": literal(context.currency)}
    values = []
    for column in table.columns:
        value = ident("v_" + column.name)
        if column.name in emptied:
            value = f"CASE WHEN {ident('u_' + column.name)} = 0 THEN {value} END"
        if column.default is not None and column.name in defaults:
            value = f"coalesce({value}, {of_row.get(column.default, column.default)})"
        values.append(f"{value} AS {ident(column.name)}")
        if column.name == table.by_day:
            values.append(f"CAST({local_from_utc(value, context.zone, until=context.latest)} AS DATE) AS day")
    return values
