"""What all commands share: options, how values are printed, and how errors become exit codes."""

from __future__ import annotations

import errno
import logging
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from functools import wraps
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from optinb import __version__
from optinb.base import logs
from optinb.base.printable import printable, printable_json
from optinb.cli.completing import names_of
from optinb.errors import Exit, OptinbError, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class ListedRows(msgspec.Struct, frozen=True, kw_only=True):
    """A table with a row for each of `rows`, all of the same columns; `empty`: what is said where there is none.

    `shown`: what a person sees of them, where that is shorter.
    """

    rows: tuple[dict[str, Any], ...]
    empty: str = ""
    shown: tuple[dict[str, Any], ...] | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Several values of one kind: what they are, and what is said where there is none."""

    items: tuple[Any, ...]
    kind: str
    empty: str


class DateType(click.ParamType):
    """A date on the command line."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Reads YYYY-MM-DD."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write it as 2026-11-23", param, ctx)


class TimeType(click.ParamType):
    """A time with its offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Reads ISO 8601."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} is no time with an offset; write it as 2026-11-23T02:00:00+01:00", param, ctx)
        return moment


class MinutesType(click.ParamType):
    """A number of minutes on the command line."""

    name = "minutes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads a number that is a time: neither negative nor endless."""
        try:
            minutes = float(value)
        except ValueError:
            minutes = nan
        if not isfinite(minutes) or minutes < 0:
            self.fail(f"{value!r} is no number of minutes; write one such as 20, or 0.5", param, ctx)
        return minutes


DAY, MOMENT, MINUTES = DateType(), TimeType(), MinutesType()
INTERRUPTED = 130  # as shells say it of what Ctrl-C ended
_ZONE = "optinb.zone"  # of the workspace, in the context of its command


def date_option(left_out: str) -> Decorator:
    """The option --date of a command that takes `left_out` where no date is given."""
    return click.option("--date", "run_date", type=DAY, help=f"The night's date; {left_out} when left out.")


def column_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options --column and --header of a command that reads a list from a file."""
    header = click.option(
        "--header",
        type=click.Choice(["yes", "no"]),
        callback=lambda _context, _option, said: None if said is None else said == "yes",
        help="Whether the first line names the columns; only needed where that can't be told.",
    )
    column = click.option("--column", metavar="NAME", help="The column to take: its name, or its number from 1.")
    return column(header(function))


workspace_option: Decorator = click.option(
    "--workspace",
    "-w",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="OPTINB_WORKSPACE",
    help="The workspace folder (default: OPTINB_WORKSPACE, or data).",
)
app_group_option: Decorator = click.option(
    "--app-group", metavar="NAME", shell_complete=names_of("app group"), help="Only this app group."
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)
LOG_FORMS = click.Choice(["json", "text"])
log_option: Decorator = click.option(
    "--log",
    type=LOG_FORMS,
    expose_value=False,
    callback=lambda _context, _option, form: None if form is None else logs.to_stderr(form),
    help="What standard error tells: json, a line for each event; text, what a person must see (default: text in a "
    "terminal, json elsewhere).",
)


def prints(function: Callable[..., Any]) -> Callable[..., None]:
    """A command of a function that returns a value: prints it as text or JSON; errors become exit codes."""

    @json_option
    @log_option
    @wraps(function)
    def command(*args: Any, as_json: bool, **options: Any) -> None:
        with telling_errors():
            value = function(*args, **options)
        print_value(value, as_json=as_json)
        if code := getattr(value, "exit_code", 0):
            sys.exit(code)

    return command


def on_workspace(function: Callable[..., Any]) -> Callable[..., None]:
    """A command whose first argument is the opened workspace."""

    @workspace_option
    @wraps(function)
    def command(*args: Any, workspace: Path | None, **options: Any) -> Any:
        from optinb.workspace import open_workspace

        with open_workspace(workspace) as ws:
            logs.to_file(ws.root)
            click.get_current_context().meta[_ZONE] = ws.settings.zone
            return function(ws, *args, **options)

    return prints(command)


def tell_times_of(workspace: Path | None) -> None:
    """Has this command tell times in the zone of a workspace that something else opened for it."""
    from optinb.base.settings import FILE_NAME, load_settings
    from optinb.base.workspace_folder import workspace_folder

    click.get_current_context().meta[_ZONE] = load_settings(workspace_folder(workspace) / FILE_NAME).zone


def rehearse_options(who: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options --rehearse and --user of a command that `who` tries out where no user is named."""
    user = click.option("--user", default=None, help=f"With --rehearse: who works (default: {who}).")
    rehearse = click.option(
        "--rehearse", is_flag=True, help="With the sandbox, its keys, and a clock on the newest delivery."
    )
    return lambda function: rehearse(user(function))


def _tell(line: str) -> None:
    click.echo(line, err=True)


def rehearsable(who: str) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """A command that takes --workspace and can be tried out as `who`, without a key and without sending anything."""

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        @rehearse_options(who)
        @wraps(function)
        def command(*args: Any, rehearse: bool, user: str | None, workspace: Path | None, **options: Any) -> None:
            from optinb.rehearsal import goes_with_rehearsing, rehearsing

            with telling_errors(), ExitStack() as stack:
                goes_with_rehearsing(user, rehearse=rehearse)
                if rehearse:
                    day = options.get("run_date")
                    stack.enter_context(rehearsing(workspace, user=user, otherwise=who, run_date=day, say=_tell))
                function(*args, workspace=workspace, **options)

        return command

    return decorate


@contextmanager
def telling_errors() -> Iterator[None]:
    """Ends the command with the sentence and the exit code of an error that is told in words."""
    try:
        yield
    except OptinbError as error:
        fail(error)


def fail(error: OptinbError) -> NoReturn:
    click.echo(f"optinb: {printable(str(error))}", err=True)
    sys.exit(error.exit_code)


def print_value(value: Any, *, as_json: bool) -> None:
    """Prints a value: as text in the zone of the workspace that the command opened, or as JSON, whose times are UTC."""
    if as_json:
        match value:
            case ListedRows():
                value = {"rows": value.rows}
            case Listing():
                value = value.items
        click.echo(printable_json(msgspec.json.encode(value, enc_hook=_plain).decode()))
    elif value is not None:
        from optinb.show.tables import times_in

        with times_in(click.get_current_context().meta.get(_ZONE, UTC)):
            click.echo(printable(_text(value)))


def _text(value: Any) -> str:
    from optinb.base.figures import many
    from optinb.show import text
    from optinb.show.tables import records

    match value:
        case ListedRows(rows=()) | Listing(items=()):
            return value.empty
        case ListedRows():
            return records(value.rows if value.shown is None else value.shown)
        case Listing():
            return "\n\n".join([f"{many(len(value.items), value.kind)}:", *map(text, value.items)])
        case _:
            return text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Commands(click.Group):
    """Commands that end with a sentence, whatever they were at and whatever happened."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was asked for."""
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\noptinb: interrupted; run the same command again to go on or to begin anew", err=True)
            sys.exit(INTERRUPTED)
        except click.Abort:
            click.echo("optinb: nothing was done, since it wasn't confirmed", err=True)
            sys.exit(Exit.FAILED)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            fail(OptinbError(_unforeseen(error, ctx.invoked_subcommand or "")))


def _unforeseen(error: Exception, command: str) -> str:
    """What to tell of an error that no part of optinb told in words of its own."""
    told = str(error)
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or any(words in told.casefold() for words in ("no space left", "disk is full", "disk quota")):
        named = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return f"the disk is full{named}; make room on it, then run the same command again"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or command}: {error.strerror}"
    if isinstance(error, MemoryError):
        return "this machine has too little memory for it"
    logging.getLogger("optinb").error("the command failed", extra={"command": command}, exc_info=error)
    return f"it failed, and optinb doesn't know why ({type(error).__name__}: {told}); {logs.whereabouts()}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--log", type=LOG_FORMS, help="The same as with each command.")
def main(log: str | None) -> None:
    """From customer tables to approved push campaigns, scheduled with Appboy.

    Exit codes: 0 done, 1 failed, 2 wrong use, or something that a night needs isn't there, 3 a check of the data
    blocked the sends, 4 a campaign was held, 5 some deliveries are unknown, 6 Appboy accepted messages and keeps
    them from most customers, 130 interrupted with Ctrl-C.
    """
    logs.to_file(None)
    logs.to_stderr(log)
