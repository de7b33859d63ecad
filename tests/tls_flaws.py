"""Endpoints of a real nginx with one flaw each, and a sound one: for tests, and to compare with other scanners."""

from __future__ import annotations

import base64
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.web import DAY, Key, Signed, authority, free_port, named, self_signed, write_chain

HOST = "shop.example"
SOUND = "sound"
_MODERN = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
# The second Oakley group (RFC 2409, section 6.2): 1024 bits, which a state could break once for everybody.
_OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD"
    "3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F"
    "24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)


@dataclass(frozen=True)
class Endpoint:
    """What is served: the certificates, the site's own first, and how nginx is set up."""

    name: str
    chain: tuple[Signed, ...]
    ciphers: str = _MODERN
    protocols: str = "TLSv1.2 TLSv1.3"
    more: str = ""
    fails: frozenset[str] = frozenset()


def _endpoints(root: Signed) -> Iterator[Endpoint]:
    """The flaws of shared/lab.md's table, and those that scanners are asked for most."""
    middle = root.issue("Middle", authority=True)
    strong_rsa = rsa.generate_private_key(65537, 2048)

    def flawed(name: str, *fails: str, chain: tuple[Signed, ...] = (), **rules: Any) -> Endpoint:
        return Endpoint(name, chain or (middle.issue(HOST), middle), fails=frozenset(fails), **rules)

    yield flawed(SOUND)
    yield flawed("expired", "trusted", "renew_before", chain=(root.issue(HOST, begins=-90 * DAY, ends=-DAY),))
    yield flawed("self-signed", "trusted", chain=(self_signed(HOST),))
    yield flawed("missing intermediate", "trusted", chain=(middle.issue(HOST),))
    yield flawed("unknown issuer", "trusted", chain=(authority("Strangers").issue(HOST),))
    yield flawed("another host", "matches_host", chain=(root.issue("www.other.example"),))
    yield flawed("ends in 5 days", "renew_before", chain=(root.issue(HOST, begins=-85 * DAY, ends=5 * DAY),))
    weak = root.issue(HOST, key=rsa.generate_private_key(65537, 1024))
    yield flawed("RSA key of 1024 bits", "key_bits", "profile", "trusted", chain=(weak,))
    yield flawed("signed with SHA-1", "signature", "trusted", chain=(signed_with_sha1(root, HOST),))
    yield flawed(
        "TLS 1.0 and 1.1",
        *("protocols", "profile"),
        protocols="TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
        ciphers=f"{_MODERN}:ECDHE-ECDSA-AES128-SHA",
    )
    long_lived = (root.issue(HOST, key=strong_rsa),)
    static = f"{_MODERN}:AES128-GCM-SHA256"
    yield flawed("no forward secrecy", "forward_secrecy", "profile", chain=long_lived, ciphers=static)
    anonymous = f"{_MODERN}:AECDH-AES128-SHA"
    yield flawed("anonymous suite", "profile", "forward_secrecy", chain=long_lived, ciphers=anonymous)
    short_dh = f"{_MODERN}:DHE-RSA-AES128-GCM-SHA256"
    yield flawed("DH of 1024 bits", "profile", chain=long_lived, ciphers=short_dh, more="ssl_dhparam dh.pem;")


def signed_with_sha1(signer: Signed, *hosts: str, key: Key | None = None) -> Signed:
    """By openssl, as Python's cryptography refuses to."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    subject = x509.CertificateSigningRequestBuilder().subject_name(named(hosts[0]))
    request = subject.add_extension(names, critical=False)
    with tempfile.TemporaryDirectory() as folder:
        ca, ca_key = write_chain(Path(folder), signer)
        csr = Path(folder, "request.pem")
        csr.write_bytes(request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        command = ["openssl", "x509", "-req", "-in", csr, "-copy_extensions", "copy"]
        command += ["-CA", ca, "-CAkey", ca_key, "-set_serial", "7", "-sha1", "-days", "90"]
        pem = subprocess.run(command, capture_output=True, check=True).stdout
    return Signed(x509.load_pem_x509_certificate(pem), key, signer)


def _parameters(prime: int) -> bytes:
    """A group of 1024 bits with the generator 2, as PKCS #3 has it."""
    numbers = b"\x02\x81\x81\x00" + prime.to_bytes(128) + b"\x02\x01\x02"
    encoded = base64.encodebytes(b"\x30\x81" + bytes([len(numbers)]) + numbers)
    return b"-----BEGIN DH PARAMETERS-----\n" + encoded + b"-----END DH PARAMETERS-----\n"


DECLARED: dict[str, Any] = {
    "trusted": True,
    "matches_host": True,
    "renew_before": "14d",
    "protocols": ["TLSv1.2", "TLSv1.3"],
    "key_bits": 2048,
    "signature": "sha256",
    "forward_secrecy": True,
    "profile": "intermediate",
}


@dataclass(frozen=True)
class Served:
    """An endpoint, and where it answers on 127.0.0.1."""

    endpoint: Endpoint
    port: int
    ca: Path

    @property
    def declared(self) -> dict[str, Any]:
        """The site as one declares it, the same for each of them."""
        return {
            "url": f"https://{HOST}:{self.port}",
            "resolve": "127.0.0.1",
            "tls": {"ca": str(self.ca), **DECLARED},
        }


@contextmanager
def serving(folder: Path) -> Iterator[list[Served]]:
    """One nginx that serves all of them, the sound one first."""
    root = authority()
    ca = folder / "ca.pem"
    ca.write_bytes(root.pem)
    (folder / "dh.pem").write_bytes(_parameters(_OAKLEY_2))
    served, blocks = [], []
    for endpoint in _endpoints(root):
        port = free_port()
        home = folder / endpoint.name.replace(" ", "-")
        home.mkdir()
        chain, key = write_chain(home, *endpoint.chain)
        served.append(Served(endpoint, port, ca))
        blocks.append(
            f"server {{ listen 127.0.0.1:{port} ssl; ssl_ciphers {endpoint.ciphers}:@SECLEVEL=0; {endpoint.more}"
            f"ssl_protocols {endpoint.protocols}; ssl_certificate {chain}; ssl_certificate_key {key}; return 204; }}"
        )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid; daemon off; worker_processes 2; events {{}} http {{ access_log off;"
        f"ssl_session_tickets off; {' '.join(blocks)} }}"
    )
    command = ["nginx", "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "nginx.log"]
    process = subprocess.Popen(command)
    try:
        while not (folder / "nginx.pid").exists():
            if process.poll() is not None:
                raise ChildProcessError((folder / "nginx.log").read_text())
            time.sleep(0.02)
        yield served
    finally:
        process.terminate()
        process.wait(10)
