"""Keeps what a drill starts from writing anywhere but in its folder, by Linux' Landlock, which asks for no rights.

A base backup names the places of the server that it was made of: links in `pg_tblspc`, `tablespace_map`, and the
log that is replayed. PostgreSQL would follow them, and where that server lives on this machine, write into it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# landlock(7): its three calls, which have these numbers on every architecture, and what they may be told.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_TELL_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE = 1 << 1
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # from version 2 and 3 on
_OLDEST = 2  # before it, nothing could be moved from one folder to another
_PR_SET_NO_NEW_PRIVS = 38
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Handled(ctypes.Structure):
    _fields_ = (("access", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def rules_for(folder: Path) -> int | None:
    """A descriptor of the rules by which only below the folder anything is written; None where the kernel has none.

    Devices that are there, such as /dev/null, may be written to.
    """
    version = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _TELL_VERSION)
    if version < _OLDEST:
        return None
    writing = _WRITE_FILE | _MAKE_AND_REMOVE | _REFER | (_TRUNCATE if version > _OLDEST else 0)
    handled = _Handled(writing)
    rules: int = _LIBC.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), 0)
    if rules < 0:
        return None
    if _allow(rules, folder, writing) and _allow(rules, Path("/dev"), _WRITE_FILE):
        return rules
    os.close(rules)
    return None


def _allow(rules: int, path: Path, access: int) -> bool:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = _Beneath(access, place)
        return bool(_LIBC.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(beneath), 0) == 0)
    finally:
        os.close(place)


def confine(rules: int) -> None:
    """Bind this process and all that it starts, for good. OSError: the kernel refuses."""
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _LIBC.syscall(_RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "this process can't be kept in its folder")
