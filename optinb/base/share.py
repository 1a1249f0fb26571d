"""What comes with optinb besides code: notebooks, the sample delivery, the example settings."""

from __future__ import annotations

from pathlib import Path

from optinb.errors import UsageError

_PACKAGE = Path(__file__).resolve().parents[1]


def shared(name: str) -> Path:
    """The path of a shared file or folder, such as `notebooks` or `data/sample`.

    In a checkout they lie beside the package, in an installed package within it. Raises UsageError when it's in
    neither.
    """
    for root in (_PACKAGE.parent, _PACKAGE / "share"):
        if (root / "pyproject.toml").exists() or root.name == "share":
            path = root / name
            if path.exists():
                return path
    raise UsageError(f"{name!r} didn't come with this installation of optinb; install it again")
