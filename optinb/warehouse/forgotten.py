"""Whom the warehouse has forgotten: keyed hashes of their ids, so that what is delivered again is left out.

    warehouse/FORGOTTEN.json   a random key of the workspace, and sha256(key, id) of everybody who was forgotten

Without the key a hash tells nobody; with it, only whoever knows an id already can ask whether it's that one.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.errors import WarehouseError
from optinb.files import write_atomically
from optinb.warehouse.sql import literal

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "FORGOTTEN.json"


class Forgotten(Struct, frozen=True):
    """The key and the hashes."""

    key: str
    hashes: tuple[str, ...] = ()

    def hash_of(self, customer_id: str) -> str:
        """What is kept of an id."""
        return sha256((self.key + customer_id).encode()).hexdigest()

    def knows(self, customer_id: str) -> bool:
        """Whether this customer was forgotten before."""
        return self.hash_of(customer_id) in self.hashes

    def with_(self, customer_id: str) -> Forgotten:
        """With one more customer."""
        return Forgotten(self.key, tuple(sorted({*self.hashes, self.hash_of(customer_id)})))

    def test(self, column: str) -> str:
        """SQL that is true of the ids of the forgotten, exactly as `hash_of` has it."""
        if not self.hashes:
            return "false"
        return f"sha256({literal(self.key)} || {column}) IN ({', '.join(map(literal, self.hashes))})"


def read_forgotten(folder: Path) -> Forgotten:
    """Whom the warehouse in a folder has forgotten; nobody, under a new key, before the first.

    Raises WarehouseError when the file can't be read: nothing may be imported then, as it could bring somebody back.
    """
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Forgotten)
    except FileNotFoundError:
        return Forgotten(token_hex(32))
    except (OSError, msgspec.MsgspecError) as error:
        raise WarehouseError(
            f"{path} can't be read ({error}), so that nobody knows who was forgotten; restore it from a copy"
        ) from error


def write_forgotten(folder: Path, forgotten: Forgotten) -> None:
    """Keeps whom the warehouse has forgotten. Only for the holder of the lease."""
    write_atomically(folder / FILE_NAME, msgspec.json.encode(forgotten))
