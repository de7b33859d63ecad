"""Which command leads to which host."""

from __future__ import annotations

from pathlib import Path

import pytest
import testinfra.backend

from readygate.fleet.connect import LOGIN_SHELL, Sudo, Transport, transport_of


def transport(spec: str, sudo: Sudo | None = None, **options: str) -> Transport:
    found = transport_of(testinfra.backend.get_backend(spec, **options), sudo, 4.2)
    assert found
    return found


def test_ssh_gets_user_port_identity_and_configuration() -> None:
    spec = "ssh://deploy@app-1:2222?ssh_config=/c&ssh_identity_file=/k"
    argv = transport(spec).argv
    assert argv[:10] == ("ssh", "-T", "-F", "/c", "-l", "deploy", "-p", "2222", "-i", "/k")
    assert argv[-3:] == ("--", "app-1", LOGIN_SHELL)
    assert "ConnectTimeout=5" in argv
    assert "BatchMode=yes" in argv


def test_ssh_reaches_an_ipv6_address() -> None:
    assert transport("ssh://[fe80::1]:2222").argv[-2] == "fe80::1"


def test_host_name_is_never_taken_for_an_option() -> None:
    argv = transport("ssh://-oProxyCommand=touch").argv
    assert argv[argv.index("--") + 1] == "-oProxyCommand=touch"


def test_host_keys_are_left_to_the_users_own_policy() -> None:
    assert not any("StrictHostKeyChecking" in word for word in transport("ssh://app-1").argv)


def test_password_of_ssh_is_in_no_argument_and_in_no_repr() -> None:
    found = transport("ssh://deploy:hunter2@app-1")
    assert found.argv[:3] == ("sshpass", "-e", "ssh")
    assert found.environment == {"SSHPASS": "hunter2"}
    assert "hunter2" not in repr(found)
    assert "hunter2" not in repr(found.argv)


def test_sudo_over_ssh_is_one_command_that_any_login_shell_understands() -> None:
    argv = transport("ssh://app-1", Sudo("web user")).argv
    assert argv[-1] == "exec sudo -n -u 'web user' -- /bin/sh"


@pytest.mark.parametrize(
    ("spec", "argv"),
    [
        ("local://", "/bin/sh"),
        ("docker://web", "docker exec -i web /bin/sh"),
        ("docker://app@web", "docker exec -i -u app web /bin/sh"),
        ("podman://web", "podman exec -i web /bin/sh"),
        ("kubectl://web-1", "kubectl exec -i web-1 -- /bin/sh"),
        (
            "kubectl://web-1?namespace=shop&container=app&context=prod&kubeconfig=/k",
            "kubectl --kubeconfig /k --context prod -n shop exec -i web-1 -c app -- /bin/sh",
        ),
    ],
)
def test_containers_and_pods_are_entered_by_their_own_clients(spec: str, argv: str) -> None:
    assert " ".join(transport(spec).argv) == argv


def test_sudo_in_a_container_wraps_the_shell() -> None:
    assert transport("docker://web", Sudo()).argv[-5:] == ("web", "sudo", "-n", "--", "/bin/sh")


def test_what_only_testinfra_can_reach_has_no_transport() -> None:
    assert transport_of(testinfra.backend.get_backend("chroot:///srv/root"), None, 5.0) is None


def test_ansible_inventory_says_how_to_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Testinfra's runner reads Ansible's own JSON; a stand-in for the program prints it."""
    inventory = '{"_meta": {"hostvars": {"web": {"ansible_host": "192.0.2.7", "ansible_user": "ops", '
    inventory += '"ansible_port": 2200, "ansible_become": true}}}, "all": {"hosts": ["web"]}}'
    program = tmp_path / "ansible-inventory"
    program.write_text(f"#!/bin/sh\necho '{inventory}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    argv = transport(f"ansible://web?ansible_inventory={tmp_path}/hosts").argv
    assert argv[:6] == ("ssh", "-T", "-l", "ops", "-p", "2200")
    assert argv[-2:] == ("192.0.2.7", "exec sudo -n -- /bin/sh")
