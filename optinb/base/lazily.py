"""Names of a package that are imported when somebody asks for them, so that a quick command loads only what it uses."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
