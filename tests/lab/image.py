"""Build the lab's images from Debian's packages; an image is kept under the hash of its recipe."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.docker import docker, execute, machine_lock

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,procps,iproute2,cron,logrotate,sudo,python3-minimal,openssh-server,chrony,"
    "ufw,iptables,nftables,curl,openssl,ca-certificates,netcat-openbsd,busybox-static,"
    "nginx-light,postgresql-15,redis-server,certbot,rclone,nsd,unbound,pebble"
)
RPM_PACKAGES = "dnf,rpm,createrepo-c,openssh-server"
# A host with each of the firewalls that no package may put beside ufw; none of them is enabled.
WALLED_PACKAGES = (
    "systemd,systemd-sysv,dbus,procps,iproute2,sudo,python3-minimal,openssh-server,netcat-openbsd,"
    "firewalld,ipset,nftables,iptables,iptables-persistent,network-manager"
)
BOOTSTRAP = (
    "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root",
    '--aptopt=Apt::Install-Recommends "false"', "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale")),
)  # fmt: skip
TARGET = Path(__file__).parent / "target"
TINY = Path(__file__).parent / "tiny"
RPM = Path(__file__).parent / "rpm"
WALLED = Path(__file__).parent / "walled"
API = Path(__file__).parent / "api"
OPENRC = """\
ARG TARGET
FROM ${TARGET}
COPY *.deb /root/
RUN for package in /root/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -C / --keep-directory-symlink -x; done
"""


def target_image() -> str:
    """The tag of the sound systemd host, which is built first if need be: about a minute, once."""
    with machine_lock():
        return _build("target", TARGET, BASE=_bootstrapped("base", PACKAGES))


def walled_image() -> str:
    """The tag of a systemd host with firewalld, nftables and netfilter-persistent, and nothing to serve."""
    with machine_lock():
        return _build("walled", WALLED, BASE=_bootstrapped("walled-base", WALLED_PACKAGES))


def tiny_image() -> str:
    """The tag of a 4 MB image that holds a busybox and nothing else."""
    target = target_image()
    with machine_lock():
        return _build("tiny", TINY, TARGET=target)


def api_image() -> str:
    """The tag of the target with an API on it: nginx before two nodes of a service."""
    target = target_image()
    with machine_lock():
        return _build("api", API, TARGET=target)


def rpm_image() -> str:
    """The tag of a host, not booted, with packages of rpm and updates of dnf, from a folder of its own."""
    with machine_lock():
        return _build("rpm", RPM, BASE=_bootstrapped("rpm-base", RPM_PACKAGES))


def openrc_image() -> str:
    """The tag of the target with OpenRC on it, which no package may put beside systemd: for what isn't booted."""
    target = target_image()
    tag = f"readygate-lab/openrc:{_digest(target, OPENRC)}"
    with machine_lock(), TemporaryDirectory(prefix="readygate-openrc-") as folder:
        if not _exists(tag):
            execute(["sh", "-c", 'cd "$0" && apt-get download openrc librc1 libeinfo1', folder], timeout=120)
            Path(folder, "Dockerfile").write_text(OPENRC)
            docker("build", "--tag", tag, f"--build-arg=TARGET={target}", folder, timeout=300)
    return tag


def _bootstrapped(name: str, packages: str) -> str:
    command = (*BOOTSTRAP, f"--include={packages}", SUITE, "-")
    tag = f"readygate-lab/{name}:{_digest(*command)}"
    if not _exists(tag):
        _bootstrap(tag, command)
    return tag


def _bootstrap(tag: str, command: tuple[str, ...]) -> None:
    pipe = 'set -o pipefail; "$@" | docker import - "$0"'
    # Where it fails, mmdebstrap hangs up on its whole process group.
    execute(["setsid", "--wait", "bash", "-c", pipe, tag, *command, *_debian_sources()], timeout=600)


def _debian_sources() -> list[str]:
    """This machine's own sources of the suite; where it has none, mmdebstrap's default mirror holds."""
    fields = "$(LABEL)|deb $(REPO_URI) $(CODENAME) $(COMPONENT)"
    listed = execute(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]).stdout
    sources = (line.partition("|") for line in listed.splitlines())
    return [source for label, _, source in sources if label.startswith("Debian") and f" {SUITE}" in source]


def _build(name: str, folder: Path, **arguments: str) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    contents = (f"{path.relative_to(folder)}\n{path.read_text()}" for path in files)
    tag = f"readygate-lab/{name}:{_digest(*arguments.values(), *contents)}"
    if not _exists(tag):
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        docker("build", "--tag", tag, *given, str(folder), timeout=300)
    return tag


def _exists(tag: str) -> bool:
    return bool(docker("image", "ls", "--quiet", tag))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
