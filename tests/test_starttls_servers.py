"""TLS that begins in the clear, on real servers: the mail server Dovecot and the directory OpenLDAP."""

from __future__ import annotations

import getpass
import grp
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from readygate.errors import CouldNotLook
from tests.database_servers import answers, needed, served
from tests.web import authority, failing, free_port, write_chain

HOST = "mail.example"
ROOT = authority()
MAIL = ("imap", "pop3", "submission")

SOUND = {
    "dovecot": "ssl = required",
    "slapd": "TLSCipherSuite SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
}
OLD = {
    "dovecot": "ssl = required\nssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0",
    "slapd": "TLSProtocolMin 3.3",  # which a slapd with GnuTLS, as Debian has it, passes over in silence
}
NONE = {"dovecot": "ssl = no", "slapd": ""}


@contextmanager
def mail_server(folder: Path, settings: str) -> Iterator[dict[str, int]]:
    """Dovecot's port of each protocol."""
    chain, key = write_chain(folder, ROOT.issue(HOST))
    ports = {protocol: free_port() for protocol in MAIL}
    me = getpass.getuser()
    listeners = "".join(
        f"service {name}-login {{\n chroot =\n inet_listener {name} {{\n  port = {port}\n }}\n}}\n"
        for name, port in ports.items()
    )
    # Those of TLS from the first byte on would be at ports that all share.
    closed = "".join(
        f"service {name}-login {{\n inet_listener {name}s {{\n  port = 0\n }}\n}}\n" for name in ("imap", "pop3")
    )
    (folder / "dovecot.conf").write_text(f"""\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/mail.log
default_internal_user = {me}
default_internal_group = {grp.getgrgid(os.getgid()).gr_name}
default_login_user = {me if os.getuid() else "nobody"}
protocols = {" ".join(MAIL)}
listen = 127.0.0.1
submission_relay_host = 127.0.0.1
ssl_cert = <{chain}
ssl_key = <{key}
{settings}
passdb {{
 driver = static
}}
userdb {{
 driver = static
}}
{listeners}{closed}""")
    command = [needed("dovecot", "dovecot-imapd"), "-F", "-c", str(folder / "dovecot.conf")]
    with served(command, folder / "dovecot.log", lambda: all(map(answers, ports.values()))):
        yield {"smtp": ports["submission"], "imap": ports["imap"], "pop3": ports["pop3"]}


@contextmanager
def directory(folder: Path, settings: str) -> Iterator[dict[str, int]]:
    """The port of an OpenLDAP."""
    chain, key = write_chain(folder, ROOT.issue(HOST))
    pair = f"TLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\n{settings}" if settings else ""
    (folder / "slapd.conf").write_text(f"pidfile {folder}/pid\n{pair}\ndatabase monitor\n")
    port = free_port()
    address = ["-h", f"ldap://127.0.0.1:{port}", "-f", str(folder / "slapd.conf")]
    command = [needed("slapd", "slapd"), "-d", "0", *address]
    with served(command, folder / "slapd.log", lambda: answers(port)):
        yield {"ldap": port}


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    return tmp_path / "ca.pem"


def declared(protocol: str, port: int, ca: Path) -> dict[str, Any]:
    tls = {"trusted": True, "matches_host": True, "protocols": ["TLSv1.2", "TLSv1.3"], "ca": str(ca)}
    return {"at": f"{HOST}:{port}", "resolve": "127.0.0.1", "timeout": "3s", "starttls": protocol, "tls": tls}


@pytest.mark.parametrize("server", [mail_server, directory])
def test_a_real_server_is_looked_at_after_starttls(server: Any, ca: Path) -> None:
    name = "dovecot" if server is mail_server else "slapd"
    for settings, failed in ((SOUND, set()), (OLD, {"tls.protocols"})):
        with server(ca.parent, settings[name]) as ports:
            for protocol, port in ports.items():
                assert failing("tls_ports", declared(protocol, port, ca)) == failed, protocol
    with server(ca.parent, NONE[name]) as ports:
        for protocol, port in ports.items():
            with pytest.raises(CouldNotLook, match=f"does not start TLS over {protocol}"):
                failing("tls_ports", declared(protocol, port, ca))
