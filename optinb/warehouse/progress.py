"""How far a long step is, for somebody who watches: a terminal, or a notebook that a person has open."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from optinb.warehouse.contract import Table


class Tell(Protocol):
    """Tells that so much more is done, and what is next."""

    def __call__(self, done: int, what: str = "", /) -> None: ...


@contextmanager
def progress(title: str, *, total: int | None, unit: str) -> Iterator[Tell]:
    """A bar on standard error, or in the notebook, that goes when the step is done; nothing where nobody watches."""
    if not watched():
        yield lambda _done, _what="", /: None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=title, total=total, unit=unit if unit == "B" else f" {unit}s", unit_scale=True, leave=False) as bar:

        def tell(done: int, what: str = "", /) -> None:
            if what:
                bar.set_postfix_str(what)
            bar.update(done)

        yield tell


def stepwise(tables: Iterable[Table], *, title: str, sizes: Mapping[str, int]) -> Iterator[Table]:
    """The tables of a delivery one by one, while a bar shows how many of its bytes are done; `sizes` by table."""
    with progress(title, total=sum(sizes.values()), unit="B") as tell:
        for table in tables:
            tell(0, table.name)
            yield table
            tell(sizes[table.name])


def watched() -> bool:
    """Whether somebody watches: a cell that can't ask its user anything runs without one (papermill, nbconvert)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel"):
        return sys.stderr.isatty()
    return bool(getattr(shell.kernel, "_allow_stdin", False))
