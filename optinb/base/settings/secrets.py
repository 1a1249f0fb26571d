"""Secrets, which the settings only name: read from the environment or the keyring when they are needed."""

from __future__ import annotations

import os
import re

from optinb.errors import SettingsError


def is_reference(text: str) -> bool:
    """Whether a text names a secret instead of being one."""
    return re.fullmatch(r"env:\w+|keyring:[^/]+/.+", text) is not None


def read_secret(reference: str, what: str = "key") -> str:
    """The secret behind `env:NAME` or `keyring:SERVICE/NAME`. Raises SettingsError that names the reference only."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        remedy = f"set the environment variable {name}"
    elif kind == "keyring":
        import keyring
        import keyring.errors

        service, _, user = name.partition("/")
        remedy = f"store it with `keyring set {service} {user}`"
        try:
            value = keyring.get_password(service, user)
        except keyring.errors.KeyringError as error:
            raise SettingsError(f"the keyring can't be read for {reference!r}: {error}; {remedy}") from error
    else:
        raise SettingsError(f"{reference!r} is no reference to a secret; write env:NAME or keyring:SERVICE/NAME")
    if not value or not value.strip():
        raise SettingsError(f"the {what} {reference!r} isn't there; {remedy}")
    return value.strip()
