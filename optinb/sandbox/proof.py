"""How a sandbox proves that it is a workspace's own: by a secret in that folder, which it never tells.

Whatever else listens on its port could else be taken for it, and be sent a whole workspace's customers.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from secrets import token_bytes

from optinb.base.files import open_privately
from optinb.errors import UsageError

SECRET = "sandbox.secret"
PARAMETER = "challenge"
_BYTES = 32


def secret_of(workspace: Path, *, make: bool = False) -> bytes | None:
    """The secret of a workspace; None where no sandbox was ever started for it, unless it's to `make` one.

    Raises UsageError for one that is damaged or can't be read.
    """
    path = workspace / SECRET
    try:
        if make and not path.exists():
            with open_privately(path, "xb") as file:
                file.write(token_bytes(_BYTES))
        secret = path.read_bytes()
    except FileNotFoundError as error:
        if not make:
            return None
        raise UsageError(f"{workspace} isn't there; name the folder of a workspace") from error
    except OSError as error:
        raise UsageError(f"{path} can't be read or made ({error.strerror}); give this login the right") from error
    if len(secret) != _BYTES:
        raise UsageError(f"{path} is damaged; remove it, and a new one is made")
    return secret


def proof_of(secret: bytes, challenge: str, *, port: int, workspace: Path) -> str:
    """What only who has the secret can answer, at this port and for this workspace, in hexadecimal."""
    return hmac.new(secret, f"{port} {workspace.resolve()} {challenge}".encode(), "sha256").hexdigest()
