"""What optinb's loggers say, as lines on standard error: for reading in a terminal, one JSON object each elsewhere.

The packages log with the standard library and put figures into `extra`; only a command decides that they are shown.
"""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from functools import cache

ROOT = "optinb"


class Lines(logging.Handler):
    """Writes each record as one line to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a progress bar is moved out of its way."""
        try:
            line = _formatter(sys.stderr.isatty()).format(record)
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            with tqdm.external_write_mode(file=sys.stderr) if tqdm else nullcontext():
                print(line, file=sys.stderr, flush=True)
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
        processors=[ProcessorFormatter.remove_processors_meta, last],
        foreign_pre_chain=[add_log_level, add_logger_name, ExtraAdder(), stamp],
    )
