"""What optinb's loggers say, as lines on standard error: for reading in a terminal, one JSON object each elsewhere.

The packages log with the standard library and put figures into `extra`; only a command decides that they are shown.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

from optinb.printable import printable

if TYPE_CHECKING:
    from collections.abc import MutableMapping

ROOT = "optinb"
KERNEL_OF_A_COMMAND = "OPTINB_KERNEL_OF_A_COMMAND"
"""Set in the environment of a kernel whose command is watched instead of its notebook."""


def kernel() -> Any | None:
    """The kernel of a notebook that this process is; None elsewhere."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) if ipython else None


def watched_stream() -> TextIO:
    """Standard error; in a kernel that a command runs, that of the command, so that it stays out of the notebook."""
    outer = sys.__stderr__ if os.environ.get(KERNEL_OF_A_COMMAND) else None
    return outer or sys.stderr


class Lines(logging.Handler):
    """Writes each record as one line to whatever is watched at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a progress bar is moved out of its way."""
        try:
            stream = watched_stream()
            line = _formatter(stream.isatty()).format(record)
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            with tqdm.external_write_mode(file=stream) if tqdm else nullcontext():
                print(line, file=stream, flush=True)
        except Exception:
            self.handleError(record)


def to_stderr(level: int = logging.INFO) -> None:
    """Shows optinb's log from here on; called again, it changes the level only."""
    logger = logging.getLogger(ROOT)
    if not any(isinstance(handler, Lines) for handler in logger.handlers):
        logger.addHandler(Lines())
    logger.setLevel(level)


@cache
def _formatter(for_people: bool) -> logging.Formatter:
    import structlog
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people)
    last = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer(ensure_ascii=False)
    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, _written_out, last],
        foreign_pre_chain=[add_log_level, add_logger_name, ExtraAdder(), stamp],
    )


def _written_out(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Names and values of customers and of Appboy don't act on the terminal that shows them."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
