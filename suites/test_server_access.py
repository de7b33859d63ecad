"""What must hold of who may come in and become root: users, groups, keys, sudo, sshd."""

import pytest


@pytest.mark.check("user.exists")
def test_user_exists_or_does_not_as_declared(user, actual_user):
    """The account of someone who left is a door that nobody watches.

    Mend: add the account, or remove it with its keys and its jobs.
    """
    assert actual_user.exists in user.exists


@pytest.mark.check("user.uid")
def test_user_has_the_declared_number(user, actual_user):
    """Files on a shared volume belong to numbers: the same name with another number can't read them.

    Mend: change it by `usermod -u`, and the owner of the files with it.
    """
    assert actual_user.uid in user.uid


@pytest.mark.check("user.gid")
def test_user_has_the_declared_primary_group(user, actual_user):
    """New files get the primary group, so it decides who else can read them.

    Mend: change it by `usermod -g`, and the group of the files with it.
    """
    assert actual_user.gid in user.gid


@pytest.mark.check("user.groups")
def test_user_is_in_the_declared_groups_only(user, actual_user):
    """Whoever is in the group docker or sudo is root in all but name.

    Mend: run `gpasswd -d` or `usermod -aG`; it takes effect at the next login.
    """
    assert actual_user.groups in user.groups


@pytest.mark.check("user.home")
def test_user_has_the_declared_home(user, actual_user):
    """Keys and settings are looked for in the home directory, and nowhere else.

    Mend: run `usermod -d`, with -m to take along what is there.
    """
    assert actual_user.home in user.home


@pytest.mark.check("user.shell")
def test_user_has_the_declared_shell(user, actual_user):
    """An account for a service needs no shell; with one it can be logged in to.

    Mend: run `usermod -s`, with /usr/sbin/nologin for a service.
    """
    assert actual_user.shell in user.shell


@pytest.mark.check("user.password_login")
def test_user_has_no_password_to_guess(user, password_login):
    """Bots try passwords all day; a key they can't guess.

    Mend: run `passwd --lock` for the user, after you have seen that the key works.
    """
    assert password_login in user.password_login


@pytest.mark.check("user.expired")
def test_account_has_not_expired(user, account_expired):
    """From that day on its jobs are not run, and its key opens nothing.

    Mend: see with `chage -l` what has expired; `chage -E -1 -M -1` ends that for an account that only machines use.
    """
    assert account_expired in user.expired


@pytest.mark.check("user.sudo")
def test_user_may_do_by_sudo_what_is_declared(user, sudo_rules):
    """One rule too many, and whoever has this account's key has the server.

    Mend: change the rules with `visudo`, in a file of /etc/sudoers.d.
    """
    assert sudo_rules in user.sudo


@pytest.mark.check("user.sudo_rules")
def test_user_has_as_many_rules_of_sudo_as_declared(user, sudo_rules):
    """An account for a service needs no sudo; with it, a hole in the service is a hole in the server.

    Mend: take the user's rules out of /etc/sudoers.d, and the user out of the groups that have some.
    """
    assert (None if sudo_rules is None else len(sudo_rules)) in user.sudo_rules


@pytest.mark.check("user.authorised_keys", severity="blocker")
def test_only_the_declared_keys_open_the_account(user, authorised_keys):
    """The key of someone who left still opens the door.

    Mend: take the key out of authorized_keys, and see by its comment whose it was.
    """
    assert (authorised_keys and authorised_keys.fingerprints) in user.authorised_keys


@pytest.mark.check("user.authorised_key_count")
def test_account_has_as_many_keys_as_declared(user, authorised_keys):
    """Each key is one more laptop that can be lost.

    Mend: take the keys that nobody needs out of authorized_keys.
    """
    assert (authorised_keys and authorised_keys.count) in user.authorised_key_count


@pytest.mark.check("group.exists")
def test_group_exists_or_does_not_as_declared(group, actual_group):
    """A service that is to run with a group that isn't there doesn't start.

    Mend: run `groupadd` or `groupdel` for it.
    """
    assert actual_group.exists in group.exists


@pytest.mark.check("group.gid")
def test_group_has_the_declared_number(group, actual_group):
    """Files on a shared volume belong to numbers: the same group with another number can't read them.

    Mend: change it by `groupmod -g`, and the group of the files with it.
    """
    assert actual_group.gid in group.gid


@pytest.mark.check("group.members", severity="blocker")
def test_group_has_the_declared_members_only(group, actual_group):
    """Whoever is in the group docker or sudo is root in all but name.

    Mend: run `gpasswd -d` or `gpasswd -a`; it takes effect at the next login.
    """
    assert actual_group.members in group.members


@pytest.mark.check("server.sudoers", severity="blocker")
def test_sudo_has_rules_for_the_declared_only(server, sudoers):
    """A file that a provider's image left in sudoers.d makes its account root without a password.

    Mend: remove the rule from /etc/sudoers.d; `visudo -c` says whether the rest is sound.
    """
    assert sudoers in server.sudoers


@pytest.mark.check("server.superusers", severity="blocker")
def test_only_the_declared_accounts_are_root(server, superusers):
    """A second account with the number 0 is root by another name, with a password of its own.

    Mend: find out who made it and when, before you remove it; it may be the trace of a break-in.
    """
    assert superusers in server.superusers


@pytest.mark.check("server.open_accounts", severity="blocker")
def test_no_account_has_an_empty_password(server, open_accounts):
    """Without a password anyone who knows the name is in.

    Mend: run `passwd --lock` for the account.
    """
    assert open_accounts.count in server.open_accounts, open_accounts.told


@pytest.mark.check("server.sshd", severity="blocker")
def test_sshd_is_set_as_declared(sshd_settings, key, expected):
    """One file in sshd_config.d, from an image or a provider, can turn passwords on again.

    Mend: set it in /etc/ssh/sshd_config.d with a name that sorts first, run `sshd -t`, and reload ssh.
    """
    assert sshd_settings.value(key) in expected
