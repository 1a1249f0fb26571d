"""Frozen audiences: written once, before the first request, and never read unless they are unchanged."""

from __future__ import annotations

import os
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
from msgspec import Struct

from optinb.campaigns import AUDIENCE_SCHEMA
from optinb.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence


class FrozenFile(Struct, frozen=True):
    """An audience on disk and its SHA-256 in hexadecimal, which is part of the file's name too."""

    path: Path
    sha256: str


def freeze(audience: pl.DataFrame, *, folder: Path, stem: str) -> FrozenFile:
    """Writes an audience with AUDIENCE_SCHEMA to `folder/stem-DIGEST.parquet`, whole or not at all.

    The digest in the name lets two runs freeze at once without writing over what the other has registered.
    Raises StateError when the disk doesn't take it.
    """
    draft = folder / f".{stem}.{uuid4().hex}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            audience.select(AUDIENCE_SCHEMA.names()).write_parquet(draft)
            with draft.open("r+b") as file:
                sha256 = file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            path = folder / f"{stem}-{sha256[:12]}.parquet"
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(folder)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise StateError(
            f"the audience can't be written to {folder} ({error}); nothing was sent; check the space and the rights "
            "of that folder"
        ) from error
    return FrozenFile(path, sha256)


def read_frozen(path: Path, sha256: str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The audience in a file, if it's the one that was frozen; all columns with AUDIENCE_SCHEMA, or some.

    Raises StateError when it isn't there or was changed.
    """
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StateError(
            f"the frozen audience {path} can't be read ({error.strerror}); restore it, or cancel this night's send"
        ) from error
    if found != sha256:
        raise StateError(
            f"the frozen audience {path} was changed since it was planned (SHA-256 {found[:12]}…, planned "
            f"{sha256[:12]}…); nothing of it is sent; restore the file, or cancel this night's send"
        )
    return pl.read_parquet(path, columns=list(columns) if columns is not None else None)


def read_recipients(path: Path, sha256: str) -> pl.DataFrame:
    """external_user_id and properties (JSON text) of the recipients, in file order. Raises StateError."""
    audience = read_frozen(path, sha256, columns=("external_user_id", "outcome", "properties"))
    return audience.filter(pl.col("outcome") == "recipient").select("external_user_id", "properties")


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power failure; where folders can't be opened, the system sees to it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
