"""Signed approvals and moves: who can write to the database still can't approve, without an approver's private key.

A signature is an Ed25519 one over everything that the approval says and the submission it is of. Keys are written as
base64 of their 32 raw bytes: the public ones in the settings, the private one where its owner keeps it.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from optinb.errors import ApprovalError

if TYPE_CHECKING:
    from optinb.base.settings import Settings
    from optinb.campaigns.record import Approval

SIGNING_KEY = "OPTINB_SIGNING_KEY"


class KeyPair(Struct, frozen=True, kw_only=True):
    """A new key: `public` for optinb.toml, `private` for its owner alone."""

    public: str
    private: str


def new_key() -> KeyPair:
    """A key pair from the system's randomness."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public, private = key.public_key().public_bytes_raw(), key.private_bytes_raw()
    return KeyPair(public=b64encode(public).decode(), private=b64encode(private).decode())


def signing_key(settings: Settings) -> str | None:
    """The private key of the user, where approvals and moves must be signed; else None.

    Raises ApprovalError when it must be there and isn't.
    """
    if not settings.policy.keys:
        return None
    private = os.environ.get(SIGNING_KEY, "").strip()
    if not private:
        raise ApprovalError(
            f"approvals and moves are signed in this workspace: put your private key into {SIGNING_KEY}, or make one "
            "with `optinb campaigns key`"
        )
    return private


def sign(approval: Approval, *, campaign_id: str, private: str) -> str:
    """The signature of an approval in base64. Raises ApprovalError when the key can't be read; it isn't shown."""
    return signature_of(_signed(approval, campaign_id), private=private)


def is_signed(approval: Approval, *, campaign_id: str, public: str) -> bool:
    """Whether an approval bears the signature of a key, for this very campaign and submission."""
    return bears(approval.signature, _signed(approval, campaign_id), public=public)


def signature_of(content: bytes, *, private: str) -> str:
    """The signature of a text in base64. Raises ApprovalError when the key can't be read; it isn't shown."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = Ed25519PrivateKey.from_private_bytes(b64decode(private, validate=True))
    except (ValueError, NoBase64):
        raise ApprovalError(
            "the signing key can't be read; it must be the private line that `optinb campaigns key` printed"
        ) from None
    return b64encode(key.sign(content)).decode()


def bears(signature: str | None, content: bytes, *, public: str) -> bool:
    """Whether a text bears the signature of a key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public, validate=True))
        key.verify(b64decode(signature or "", validate=True), content)
    except (ValueError, NoBase64, InvalidSignature):
        return False
    return True


def _signed(approval: Approval, campaign_id: str) -> bytes:
    content = {**msgspec.to_builtins(approval), "campaign_id": campaign_id}
    del content["signature"]
    if not approval.author:
        del content["author"]  # an earlier release signed without
    return msgspec.json.encode(content, order="sorted")
