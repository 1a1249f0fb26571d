"""Whom the warehouse has forgotten: keyed hashes of their ids, so that what is delivered again is left out.

    warehouse/FORGOTTEN.json   a random key of the workspace, and sha256(key, id) of everybody who was forgotten: of
                               their customer ids (`hashes`), and of their external user ids (`external`)

Without the key a hash tells nobody; with it, only whoever knows an id already can ask whether it's that one.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.base.files import write_atomically
from optinb.errors import WarehouseError
from optinb.warehouse.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_NAME = "FORGOTTEN.json"


class Forgotten(Struct, frozen=True, omit_defaults=True):
    """The key and the hashes, those of customer ids and those of external user ids apart: one may be the other's."""

    key: str
    hashes: tuple[str, ...] = ()
    external: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hashes or self.external)

    def hash_of(self, customer_id: str) -> str:
        """What is kept of an id."""
        return sha256((self.key + customer_id).encode()).hexdigest()

    def knows(self, customer_id: str) -> bool:
        """Whether this customer was forgotten before."""
        return self.hash_of(customer_id) in self.hashes

    def with_(self, customer_ids: Iterable[str], external_ids: Iterable[str] = ()) -> Forgotten:
        """With some more ids of people."""
        hashes = {*self.hashes, *map(self.hash_of, customer_ids)}
        external = {*self.external, *map(self.hash_of, external_ids)}
        return Forgotten(self.key, tuple(sorted(hashes)), tuple(sorted(external)))

    def test(self, column: str) -> str:
        """SQL that is true of the customer ids of the forgotten, exactly as `hash_of` has it."""
        return self._test(column, self.hashes)

    def test_external(self, column: str) -> str:
        """SQL that is true of the external user ids of the forgotten."""
        return self._test(column, self.external)

    def _test(self, column: str, hashes: tuple[str, ...]) -> str:
        if not hashes:
            return "false"
        return f"coalesce(sha256({literal(self.key)} || {column}) IN ({', '.join(map(literal, hashes))}), false)"


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
