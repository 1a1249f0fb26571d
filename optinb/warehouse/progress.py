"""How far a long step is, for somebody who watches: a terminal, or a notebook that a person has open."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from optinb.logs import KERNEL_OF_A_COMMAND, watched_stream

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
    if os.environ.get(KERNEL_OF_A_COMMAND):
        from tqdm.std import tqdm
    else:
        from tqdm.auto import tqdm

    units = unit if unit == "B" else f" {unit}s"
    with tqdm(desc=title, total=total, unit=units, unit_scale=True, leave=False, file=watched_stream()) as bar:

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
    """Whether somebody watches: a cell that can't ask its user anything runs without one (papermill, nbconvert),
    unless a command in a terminal runs it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or not hasattr(shell, "kernel") or os.environ.get(KERNEL_OF_A_COMMAND):
        return watched_stream().isatty()
    return bool(getattr(shell.kernel, "_allow_stdin", False))
