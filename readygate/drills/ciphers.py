"""What encrypted a file, told by how it begins."""

from __future__ import annotations

import base64
import re

# How encrypted files begin: age, OpenSSL, and OpenPGP in letters.
_CIPHERS = {
    b"age-encryption.org/v1\n": "age",
    b"-----BEGIN AGE ENCRYPTED FILE-----": "age",
    b"Salted__": "OpenSSL",
}
# What follows the headers of a message in letters: it may as well be signed only, for all to read.
_ARMORED = re.compile(rb"-----BEGIN PGP MESSAGE-----\r?\n(?:[^\r\n]+\r?\n)*?\r?\n([A-Za-z0-9+/]{8})")
# RFC 9580, 4.2 and 5: an encrypted message begins with a session key, encrypted to a key (1) or a password (3).
_OPENPGP_TAGS = (1, 3)


def cipher_of(first: bytes) -> str | None:
    """What encrypted it, by its first bytes; None where it lies open."""
    named = next((cipher for magic, cipher in _CIPHERS.items() if first.startswith(magic)), None)
    if armored := _ARMORED.match(first):
        first = base64.b64decode(armored[1])
    if named or not first or not first[0] & 0x80:
        return named
    tag = first[0] & 0x3F if first[0] & 0x40 else (first[0] & 0x3F) >> 2
    # The version of the packet follows its length; so a picture or a gzip stream is not taken for a message.
    versions = first[2:6]
    return "OpenPGP" if tag in _OPENPGP_TAGS and any(version in versions for version in (3, 4, 6)) else None
