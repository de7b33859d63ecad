"""One drill: what a backup is, told by its bytes, and which scratch server it is restored into."""

from __future__ import annotations

import shutil
from pathlib import Path

from readygate.drills.base_backup import MANIFEST, restore_base_backup
from readygate.drills.ciphers import cipher_of
from readygate.drills.dumps import UNPACKERS, ends_of, form_of, writer_of
from readygate.drills.files import ask_files, restore_json, restore_sqlite, unpack_files
from readygate.drills.mariadb import restore_mariadb
from readygate.drills.outcome import NotRestorable, Questions, Restored
from readygate.drills.postgres import restore_postgres
from readygate.drills.redis import MANIFESTS, restore_redis
from readygate.drills.scratch import Ended, Scratch
from readygate.errors import CouldNotLook

_WRAPPINGS = 3  # encrypted, packed, and one more


def restore(scratch: Scratch, packed: Path, questions: Questions, *, decrypt: str | None = None) -> Restored:
    """Restore a file or a folder, which lies in the scratch folder, into the server it is made for, and ask that.

    NotRestorable: the file is at fault. CouldNotLook: this machine lacks something that the drill needs.
    """
    if packed.is_dir():
        if (packed / "toc.dat").exists():
            return restore_postgres(scratch, packed, is_sql=False, questions=questions)
        if any(packed.glob(MANIFESTS)):
            return restore_redis(scratch, packed, questions, is_aof=True)
        return restore_base_backup(scratch, packed, questions)
    plain = _unpacked(scratch, packed, decrypt)
    ends = ends_of(plain)
    if not ends.first:
        raise NotRestorable("there is nothing inside; what wrote it must have failed")
    match form_of(ends):
        case "pgdump":
            return restore_postgres(scratch, plain, is_sql=False, questions=questions)
        case "sql":
            match writer_of(ends):
                case "postgresql":
                    return restore_postgres(scratch, plain, is_sql=True, questions=questions)
                case "mariadb":
                    return restore_mariadb(scratch, plain, questions)
                case _:
                    return restore_sqlite(scratch, plain, is_sql=True, questions=questions)
        case "sqlite":
            return restore_sqlite(scratch, plain, is_sql=False, questions=questions)
        case "rdb":
            return restore_redis(scratch, plain, questions)
        case "aof":
            return restore_redis(scratch, plain, questions, is_aof=True)
        case "json":
            return restore_json(scratch, plain, questions)
        case "tar":
            folder = unpack_files(scratch, plain)
            inside = _backup_in(folder)
            return restore(scratch, inside, questions) if inside else ask_files(scratch, folder, questions)
        case "mongodump":
            raise CouldNotLook(
                "no drill restores archives of mongodump",
                mend="restore it by hand, and attest that; `sound` reads it",
            )
    if cipher := cipher_of(ends.first):
        raise CouldNotLook(
            f"it is encrypted by {cipher}", mend="declare `decrypt`, the command that decrypts its input"
        )
    raise NotRestorable("it is no dump, database or archive of a known kind")


def _backup_in(folder: Path) -> Path | None:
    """The backup in the form of a folder that an archive holds, where it holds nothing else."""
    told = [each for name in ("toc.dat", MANIFEST, MANIFESTS) for each in folder.rglob(name)]
    alone = len(told) == 1 and all(each.is_dir() or told[0].parent in each.parents for each in folder.rglob("*"))
    return told[0].parent if alone else None


def _unpacked(scratch: Scratch, packed: Path, decrypt: str | None) -> Path:
    """The file without what it is wrapped in, each wrapping read to its end, where its checksums are."""
    plain = packed
    if decrypt:
        with scratch.step("decrypt"):
            # The key is ours to read, and nobody else's.
            ended = scratch.run(["sh", "-c", decrypt], reads=plain, writes="decrypted", as_us=True)
            if not ended.was_run or "no such file" in ended.said.lower():
                raise CouldNotLook(
                    f"`decrypt` can't be run: {ended.said.splitlines()[0] if ended.said else ended.exit}",
                    mend="see that its program and its key are on the machine that restores",
                )
            plain = _read_to_its_end(ended, "it can't be decrypted")
    for wrapping in range(_WRAPPINGS):
        form = form_of(ends_of(plain))
        if form not in UNPACKERS:
            return plain
        program = shutil.which(UNPACKERS[form])
        if program is None:
            raise CouldNotLook(f"this machine has no {UNPACKERS[form]} to unpack it with", mend="install it here")
        with scratch.step(f"unpack {form}"):
            ended = scratch.run([program, "-dc"], reads=plain, writes=f"unpacked.{wrapping}")
            plain = _read_to_its_end(ended, "it is damaged")
    return plain


def _read_to_its_end(ended: Ended, otherwise: str) -> Path:
    if ended.exit:
        why = ended.said.splitlines()[0] if ended.said else f"exit {ended.exit}"
        raise NotRestorable(f"{otherwise}: {why}")
    return ended.output
