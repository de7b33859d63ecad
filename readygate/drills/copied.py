"""What lies in a scratch folder to be restored: opened for whoever restores it there, and told by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path


def opened(copy: Path) -> Path:
    """The copy, a file or a folder, as others may read it; the scratch folder around it is closed."""
    for each in (copy, *copy.rglob("*")) if copy.is_dir() else (copy,):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() else 0o644)
    return copy


def digest_of(copy: Path) -> str:
    """The SHA-256 of a file in hexadecimal; that of a folder is over the names and digests of its files."""
    if copy.is_dir():
        files = sorted(each for each in copy.rglob("*") if each.is_file())
        told = "".join(f"{digest_of(each)}  {each.relative_to(copy)}\n" for each in files)
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()
    with copy.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
