"""What optinb's loggers say: sentences for a person, JSON lines for a scheduler, and a file in the workspace for both.

The packages log with the standard library and put figures into `extra`; only a command or a night decides what becomes
of it. A person sees warnings alone, since tables and bars tell the rest; the file has every line, with the traces of
what nobody foresaw.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, TextIO

from optinb.base.files import lock_newest, open_privately
from optinb.base.printable import printable, printable_line

ROOT = "optinb"
KERNEL_OF_A_COMMAND = "OPTINB_KERNEL_OF_A_COMMAND"
"""Set in the environment of a kernel whose command is watched instead of its notebook: `json`, `text`, or another value
where the command's own standard error decides."""

FOLDER = "logs"
NAME = "optinb.log"
MOST_BYTES = 2_000_000  # of one file; about 10,000 lines
KEPT = 4  # files besides the newest

Form = Literal["json", "text"]

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def kernel() -> Any | None:
    """The kernel of a notebook that this process is; None elsewhere."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) if ipython else None


def watched_stream() -> TextIO:
    """Standard error; in a kernel that a command runs, that of the command, so that it stays out of the notebook."""
    outer = sys.__stderr__ if os.environ.get(KERNEL_OF_A_COMMAND) else None
    return outer or sys.stderr


class Lines(logging.Handler):
    """Writes records to whatever is watched at that moment: to a terminal, or as `text`, warnings alone."""

    form: Form | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a progress bar is moved out of its way."""
        try:
            stream = watched_stream()
            is_text = self.form == "text" or (self.form is None and stream.isatty())
            if is_text and record.levelno < logging.WARNING:
                return
            line = _sentence(record) if is_text else _json_lines().format(record)
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            with tqdm.external_write_mode(file=stream) if tqdm else nullcontext():
                print(line, file=stream, flush=True)
        except OSError:
            pass  # nobody reads it any more, or a full disk: what was at work isn't ended by it
        except Exception:
            self.handleError(record)


class Kept(logging.Handler):
    """Appends each record to the log of a workspace, of which the oldest goes; several processes may do so at once."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; nothing where the workspace can't be written to, or is gone."""
        try:
            append(self.root, f"{_json_lines().format(record)}\n".encode(errors="replace"))
        except OSError:
            pass
        except Exception:
            self.handleError(record)


def append(root: Path, line: bytes) -> None:
    """Adds a line to the log of a workspace; raises OSError.

    A file that is full gets a name that no other ever had: whoever rewrites it meanwhile, as `forget` does, keeps it.
    """
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / NAME

    def opened() -> IO[bytes]:
        return open_privately(path, buffering=0)

    while True:
        with lock_newest(opened(), path, opened) as file:
            size = os.fstat(file.fileno()).st_size
            if not size or size + len(line) <= MOST_BYTES:
                file.write(line)
                return
            # while this one waited, another process may have named the full file; the path is then none, or a new one
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    path.rename(folder / f"optinb_{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log")
        for old in sorted(folder.glob("optinb_*.log"))[:-KEPT]:
            old.unlink(missing_ok=True)


def is_log(path: Path) -> bool:
    """Whether a file is one of a workspace's log, in which a number is never an id."""
    return path.parent.name == FOLDER and path.name.startswith("optinb") and path.suffix == ".log"


def to_stderr(form: str | None = None) -> None:
    """Shows optinb's log from here on, as `json` or `text`, or as fits the standard error of that moment."""
    logger = logging.getLogger(ROOT)
    lines = next((handler for handler in logger.handlers if isinstance(handler, Lines)), None)
    if lines is None:
        lines = Lines()
        logger.addHandler(lines)
    lines.form = "json" if form == "json" else "text" if form == "text" else None
    logger.setLevel(logging.INFO)


def form_shown() -> Form | None:
    """The form that was asked for; None where standard error decides."""
    return next((handler.form for handler in logging.getLogger(ROOT).handlers if isinstance(handler, Lines)), None)


def to_file(root: Path | None) -> None:
    """Keeps optinb's log in a workspace from here on, and in no other; in none with None."""
    logger = logging.getLogger(ROOT)
    for handler in [handler for handler in logger.handlers if isinstance(handler, Kept)]:
        logger.removeHandler(handler)
    if root is not None:
        logger.addHandler(Kept(root))
        logger.setLevel(logging.INFO)


def whereabouts() -> str:
    """Where somebody finds the trace of what nobody foresaw."""
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, Kept) and (handler.root / FOLDER / NAME).exists():
            return f"{handler.root / FOLDER / NAME} has the details"
    return "`optinb --log json …` shows the details"


def _sentence(record: logging.LogRecord) -> str:
    """A record as a person reads it."""
    rest = [f"{name.replace('_', ' ')}: {value}" for name, value in _extra(record).items() if value not in (None, "")]
    if record.exc_info and (error := record.exc_info[1]):
        rest += [f"{type(error).__name__}: {error}", whereabouts()]
    return printable_line(f"optinb: {record.getMessage()}" + (f" ({'; '.join(rest)})" if rest else ""))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}


@cache
def _json_lines() -> logging.Formatter:
    import structlog
    from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name

    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    last = structlog.processors.JSONRenderer(ensure_ascii=False)
    trace = structlog.processors.format_exc_info
    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, trace, _written_out, last],
        foreign_pre_chain=[add_log_level, add_logger_name, ExtraAdder(), stamp],
    )


def _written_out(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Names and values of customers and of Appboy don't act on the terminal that shows them."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
