"""A drill on the server that has the backup: these modules are sent there, and run once by its own Python.

Nothing is installed there, and nothing is written but the scratch folder: the modules stay in memory. What the
drill found comes back as one line of JSON. Should whoever asked be gone, the drill notices within a second, and
its warden cleans up.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import time
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

from readygate.drills.base_backup import ELSEWHERE
from readygate.drills.copied import digest_of, opened
from readygate.drills.files import ask_files
from readygate.drills.outcome import NotRestorable, Questions, Restored
from readygate.drills.repositories import Kept, bring_back
from readygate.drills.restore import restore
from readygate.drills.scratch import Limits, Scratch, free_room, scratch
from readygate.errors import CouldNotLook

OLDEST_PYTHON = (3, 11)
_BEAT_S = 0.5

# The warden is a process of its own, which finds the modules where its parent has them.
_BOOT = f"""
import base64, json, os, sys
if sys.version_info < {OLDEST_PYTHON}:
    sys.exit("its Python is older than {".".join(map(str, OLDEST_PYTHON))}")
held = os.memfd_create("readygate")
os.write(held, base64.b64decode(sys.argv[1]))
os.environ["PYTHONPATH"] = modules = f"/proc/{{os.getpid()}}/fd/{{held}}"
sys.dont_write_bytecode = True
sys.path.insert(0, modules)
from readygate.drills.there import drill
drill(json.loads(base64.b64decode(sys.argv[2])))
"""


def command(order: Mapping[str, Any]) -> str:
    """What a shell on the server has to run for this order: the keywords of `found`."""
    sent = b64encode(json.dumps(order).encode()).decode()
    return f"python3 -c {quote(_BOOT)} {b64encode(_modules()).decode()} {sent}"


def drill(order: Mapping[str, Any]) -> None:
    """Do as ordered, and print what came of it."""
    threading.Thread(target=_beat, daemon=True).start()
    print(json.dumps(found(**order)), flush=True)  # noqa: T201 - whoever asked reads it


def found(
    *,
    questions: Mapping[str, Any],
    decrypt: str | None,
    within: float,
    disk: int | None,
    memory: int,
    path: str = "",
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the drill found in the file or folder at `path`, or in what is `kept` in a repository.

    Or what is wrong with the backup, or why one could not look.
    """
    limits = Limits(within, disk or free_room(), memory)
    try:
        with scratch(limits, online=kept is not None) as place:
            try:
                asked = Questions(**questions), decrypt
                came = _found_kept(place, Kept(**kept), *asked) if kept else _found(place, path, *asked)
            except NotRestorable as fault:
                came = {"fault": str(fault)}
            return {**came, "offline": place.is_offline, "steps": place.steps}
    except CouldNotLook as error:
        return {"unseen": error.reason, "mend": error.mend}
    except OSError as error:
        return {"unseen": f"{path} can't be copied: {error.strerror}", "mend": "look when no backup is running"}


def _found(place: Scratch, path: str, questions: Questions, decrypt: str | None) -> dict[str, Any]:
    packed = place.folder / "artifact"
    with place.step(f"copy {path}"):
        if sum(size for _, size, _ in _state(Path(path))) > place.limits.disk:
            raise CouldNotLook(
                f"{path} alone takes more disk than the drill may use", mend="declare a larger `disk` for it"
            )
        _copy(Path(path), packed)
        digest = digest_of(opened(packed))
    return _came(restore(place, packed, questions, decrypt=decrypt), digest)


def _found_kept(place: Scratch, kept: Kept, questions: Questions, decrypt: str | None) -> dict[str, Any]:
    brought, called = bring_back(place, kept)
    place.leave_the_network()
    if not kept.file:
        return {**_came(ask_files(place, brought, questions), ""), "artifact": called}
    digest = digest_of(brought)
    return {**_came(restore(place, brought, questions, decrypt=decrypt), digest), "artifact": called}


def _came(restored: Restored, digest: str) -> dict[str, Any]:
    return {"restored": asdict(restored), "digest": digest}


def _copy(source: Path, target: Path) -> None:
    before = _state(source)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
        for link in _links(source):
            copied = target / link.relative_to(source)
            copied.unlink()
            shutil.copytree(link.resolve(), copied, symlinks=True)
    else:
        shutil.copyfile(source, target)
    if _state(source) != before:
        raise CouldNotLook(f"{source} changed while it was copied", mend="drill when no backup is running")


def _links(source: Path) -> list[Path]:
    """By what a base backup is in several places. CouldNotLook: one of them is elsewhere."""
    links = [each for each in (source / "pg_wal", *source.glob("pg_tblspc/*")) if each.is_symlink() and each.is_dir()]
    around = source.resolve().parent
    for link in links:
        if around.parent == around or not link.resolve().is_relative_to(around):
            raise CouldNotLook(
                f"{link} is a link to {link.resolve()}, which is not a part of the backup", mend=ELSEWHERE
            )
    return links


def _state(source: Path) -> list[tuple[str, int, int]]:
    """By file, the size and the time of its last change."""
    if source.is_dir():
        files = [file for place in (source, *_links(source)) for file in place.resolve().rglob("*")]
    else:
        files = [source.resolve()]
    return sorted((str(each), each.lstat().st_size, each.lstat().st_mtime_ns) for each in files)


def _beat() -> None:
    """Speak now and then: a connection that has ended is told by that alone."""
    while True:
        time.sleep(_BEAT_S)
        try:
            os.write(2, b"\n")
        except OSError:
            os._exit(1)


def _modules() -> bytes:
    """The drills and the few modules that they stand on, packed."""
    package = Path(__file__).parent.parent
    needed = [
        "__init__.py",
        "errors.py",
        "units.py",
        *(f"drills/{each.name}" for each in Path(__file__).parent.glob("*.py")),
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(needed):
            archive.write(package / name, f"readygate/{name}")
    return packed.getvalue()
