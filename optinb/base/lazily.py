"""What is imported or made when somebody asks for it, so that a quick command loads only what it uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    once = cached_property
else:
    _MAKING = RLock()

    class once(cached_property):  # noqa: N801
        """A property that is worked out when it is first asked for, once, whichever thread asks."""

        def __get__(self, instance: object, owner: type | None = None) -> Any:
            with _MAKING:  # since Python 3.12 two threads would each get one of their own
                return super().__get__(instance, owner)


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names lie in its modules.

    No name may be that of a module of the package, which would stand there instead once it is imported.

    Args:
        package: its `__name__`.
        names: by module (as the package sees it: `.compile`), the names that it offers of it, with spaces between.
    """
    homes = {name: module for module, offered in names.items() for name in offered.split()}

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name], package), name)
        setattr(sys.modules[package], name, value)  # which Python finds by itself from then on
        return value

    return found
