"""Asks a server for one TLS version with a ClientHello of our own, so that no local library's policy matters.

The messages are those of RFC 6101 (SSL 3.0), RFC 5246 (TLS 1.2 and before) and RFC 8446 (TLS 1.3). We speak
only as far as the server's first answer, so no keys are ever agreed on.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO


class Version(IntEnum):
    """The versions as they stand on the wire."""

    SSL_3 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304


NAMES = {
    "SSLv3": Version.SSL_3,
    "TLSv1": Version.TLS_1_0,
    "TLSv1.1": Version.TLS_1_1,
    "TLSv1.2": Version.TLS_1_2,
    "TLSv1.3": Version.TLS_1_3,
}


def name_of(version: Version) -> str:
    return next(name for name, each in NAMES.items() if each == version)


class StrangeAnswerError(ValueError):
    """The server's answer is not one that TLS knows here."""


_ALERT, _HANDSHAKE = 21, 22
_FATAL, _CLOSE_NOTIFY = 2, 0
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE, _KEY_EXCHANGE, _HELLO_DONE, _CERTIFICATE_STATUS = 1, 2, 11, 12, 14, 22
_SERVER_NAME, _STATUS_REQUEST, _GROUPS, _POINT_FORMATS, _SIGNATURES, _VERSIONS, _KEY_SHARE = 0, 5, 10, 11, 13, 43, 51
_X25519 = 0x001D

# "I know it" (RFC 5746): some servers refuse whoever doesn't.
_SECURE_RENEGOTIATION = 0x00FF
_CIPHERS_OF_TLS_1_3 = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)
# All that a server of the last twenty years may insist on, the bad ones too: the question is the version.
_CIPHERS_BEFORE = (
    *(0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9, 0xCCAA, 0x009E, 0x009F, 0x00A2, 0x00A3),  # forward AEAD
    *(0xC0AC, 0xC0AD, 0xC09E, 0xC09F, 0xC09C, 0xC09D, 0x009C, 0x009D),  # CCM, and GCM with an RSA exchange
    *(0xC023, 0xC024, 0xC027, 0xC028, 0x0067, 0x006B, 0x003C, 0x003D),  # CBC with SHA-2
    *(0xC009, 0xC00A, 0xC013, 0xC014, 0x0032, 0x0033, 0x0038, 0x0039, 0x002F, 0x0035),  # CBC with SHA-1
    *(0x0041, 0x0084, 0x0045, 0x0088, 0xC076, 0xC077, 0x0096, 0x009A),  # Camellia and SEED
    *(0xC008, 0xC012, 0x0016, 0x0013, 0x000A, 0x0009, 0x0015),  # 3DES and DES
    *(0xC007, 0xC011, 0x0005, 0x0004, 0x0003, 0x0006, 0x0008, 0x0001, 0x0002),  # RC4, export and none at all
    _SECURE_RENEGOTIATION,
)
_CURVES = (_X25519, 0x0017, 0x0018, 0x0019, 0x001E)
_SIGNATURE_SCHEMES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),
    *(0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0202),
)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the server has chosen of all that was offered."""

    version: int
    cipher: int


def client_hello(
    version: Version, server_name: str | None, ciphers: Sequence[int] = (), *, asks_status: bool = False
) -> bytes:
    """One record that offers this version and no other; `server_name` goes into SNI.

    `ciphers` are offered instead of all that we know. `asks_status` asks for a stapled OCSP response (RFC 6066, 8).
    """
    modern = version >= Version.TLS_1_3
    extensions = b""
    if server_name:
        extensions += _extension(_SERVER_NAME, _sized(2, b"\0" + _sized(2, server_name.encode("ascii"))))
    extensions += _extension(_GROUPS, _sized(2, _uint16s(*_CURVES)))
    extensions += _extension(_POINT_FORMATS, _sized(1, b"\0"))
    extensions += _extension(_SIGNATURES, _sized(2, _uint16s(*_SIGNATURE_SCHEMES)))
    if asks_status:
        extensions += _extension(_STATUS_REQUEST, b"\x01" + _sized(2, b"") + _sized(2, b""))
    if modern:
        extensions += _extension(_VERSIONS, _sized(1, _uint16s(version)))
        # Any 32 bytes are an x25519 public key (RFC 7748), and nobody will ever need its private half.
        extensions += _extension(_KEY_SHARE, _sized(2, _uint16s(_X25519) + _sized(2, os.urandom(32))))
    offered = (*ciphers, _SECURE_RENEGOTIATION) if ciphers else _CIPHERS_OF_TLS_1_3 if modern else _CIPHERS_BEFORE
    hello = (
        # TLS 1.3 keeps these two versions frozen for middleboxes (RFC 8446, sections 4.1.2 and 5.1).
        _uint16s(min(version, Version.TLS_1_2))
        + os.urandom(32)
        + _sized(1, os.urandom(32) if modern else b"")
        + _sized(2, _uint16s(*offered))
        + _sized(1, b"\0")
        + _sized(2, extensions)
    )
    message = bytes([_CLIENT_HELLO]) + _sized(3, hello)
    return bytes([_HANDSHAKE]) + _uint16s(min(version, Version.TLS_1_0)) + _sized(2, message)


def chosen_version(answer: BinaryIO) -> int | None:
    """The version in the server's hello, or None where it refused."""
    hello = server_hello(answer)
    return hello.version if hello else None


def server_hello(answer: BinaryIO) -> ServerHello | None:
    """The server's hello, or None where it refused by an alert or by closing.

    A HelloRetryRequest is a ServerHello (RFC 8446, section 4.1.4) and so counts as an agreement. Raises
    StrangeAnswerError, and whatever reading raises.
    """
    for kind, message in _messages(answer):
        if kind != _SERVER_HELLO:
            raise StrangeAnswerError(f"the answer is handshake message {kind} and not a ServerHello")
        return _parsed(message)
    return None


def stapled_response(answer: BinaryIO) -> tuple[tuple[bytes, ...], bytes] | None:
    """The chain and the OCSP response that come along before TLS 1.2 goes on (RFC 6066, 8), all of it DER.

    The response is empty where there is none; None where the server refused, and so showed no certificate.
    """
    chain: tuple[bytes, ...] = ()
    for kind, message in _messages(answer):
        if kind == _CERTIFICATE:
            chain = tuple(_certificates(message[3:]))
        if kind == _CERTIFICATE_STATUS and chain:
            return chain, message[4:]
        if kind == _HELLO_DONE:
            break
    return (chain, b"") if chain else None


def _certificates(listed: bytes) -> Iterator[bytes]:
    while listed:
        end = 3 + int.from_bytes(listed[:3])
        yield listed[3:end]
        listed = listed[end:]


def dh_bits(answer: BinaryIO) -> int | None:
    """The size of the group that the server would agree on a key in, where only DHE was offered (RFC 5246, 7.4.3)."""
    for kind, message in _messages(answer):
        if kind == _KEY_EXCHANGE:
            return int.from_bytes(message[2 : 2 + int.from_bytes(message[:2])]).bit_length()
    return None


def _messages(answer: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The handshake's messages, put together from their records, until the server refuses or closes."""
    handshake = b""
    while True:
        while len(handshake) >= 4 and len(handshake) >= 4 + int.from_bytes(handshake[1:4]):
            end = 4 + int.from_bytes(handshake[1:4])
            yield handshake[0], handshake[4:end]
            handshake = handshake[end:]
        header = answer.read(5)
        if not header and not handshake:
            return
        if len(header) < 5 or header[0] not in (_ALERT, _HANDSHAKE) or header[1] != 3:
            raise StrangeAnswerError(f"the answer begins with {header[:5]!r}, which is not TLS")
        length = int.from_bytes(header[3:5])
        record = answer.read(length)
        if len(record) < length or not record:
            raise StrangeAnswerError("the answer breaks off within a record")
        if header[0] == _HANDSHAKE:
            handshake += record
        elif record[0] == _FATAL or record[1:2] == bytes([_CLOSE_NOTIFY]):
            return
        # Other warnings, such as unrecognized_name, come before a hello that is still to be read.


def _parsed(hello: bytes) -> ServerHello:
    try:
        (version,) = struct.unpack_from("!H", hello)
        place = 34 + 1 + hello[34]  # version and random, and the session id
        (cipher,) = struct.unpack_from("!H", hello, place)
        place += 3  # the cipher, and the compression
        if place == len(hello):
            return ServerHello(version, cipher)
        end = place + 2 + int.from_bytes(hello[place : place + 2])
        place += 2
        while place < end:
            kind, length = struct.unpack_from("!HH", hello, place)
            if kind == _VERSIONS:
                (version,) = struct.unpack_from("!H", hello, place + 4)
            place += 4 + length
        return ServerHello(version, cipher)
    except (struct.error, IndexError) as error:
        raise StrangeAnswerError("the ServerHello breaks off") from error


def _uint16s(*numbers: int) -> bytes:
    return struct.pack(f"!{len(numbers)}H", *numbers)


def _sized(width: int, content: bytes) -> bytes:
    """A vector of TLS: its length in `width` bytes, and then the content."""
    return len(content).to_bytes(width) + content


def _extension(kind: int, content: bytes) -> bytes:
    return _uint16s(kind) + _sized(2, content)
