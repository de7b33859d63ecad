"""What must hold of the containers: that they run, limited, closed and configured as declared, and nothing else."""

import pytest


@pytest.mark.check("container.exists")
def test_container_is_there_or_is_not_as_declared(container, replicas):
    """A local database that comes up beside the managed one takes the writes that nobody will ever find again.

    Mend: start what is missing; stop and remove what must not be here.
    """
    assert all(each.exists in container.exists for each in replicas)


@pytest.mark.check("container.running", severity="blocker")
def test_container_is_running_or_is_not_as_declared(container, replicas):
    """A deployment that forgot `--profile prod` says "done", and there are no backups and no alerts.

    Mend: run `docker compose up -d` with the profile and the files that the service is in; then read its log.
    """
    assert all(each.running in container.running for each in replicas)


@pytest.mark.check("container.replicas", severity="blocker")
def test_container_runs_as_many_times_as_declared(container, replicas):
    """With too few replicas the next peak or the next crash takes the service down.

    Mend: run `docker compose up -d --scale` with the declared number, and see why the others stopped.
    """
    assert replicas.running in container.replicas


@pytest.mark.check("container.health", severity="blocker")
def test_container_calls_itself_healthy(container, replicas):
    """A process that is up and can't reach its database is running, and serves nobody.

    Mend: read the last answers of the health check in `docker inspect`, and the container's log.
    """
    assert all(each.health in container.health for each in replicas)


@pytest.mark.check("container.failing_streak")
def test_health_checks_do_not_fail_in_a_row(container, replicas):
    """The streak grows before the engine says unhealthy: this is the warning.

    Mend: read the last answers of the health check in `docker inspect`, and the container's log.
    """
    assert all(each.failing_streak in container.failing_streak for each in replicas)


@pytest.mark.check("container.uptime")
def test_container_has_been_up_for_a_while(container, replicas):
    """What was started a moment ago, and not by a release, has just died.

    Mend: see in `docker events` and in its log why it started anew.
    """
    assert all(each.uptime_s in container.uptime for each in replicas)


@pytest.mark.check("container.exit_code")
def test_container_has_ended_as_declared(container, replicas):
    """A migration that ended with 1 leaves the new code on the old tables.

    Mend: read the log of the container, and run it again.
    """
    assert all(each.exit_code in container.exit_code for each in replicas)


@pytest.mark.check("container.oom_killed")
def test_container_was_not_killed_for_want_of_memory(container, replicas):
    """It will be killed again, at the next request as large, with all others that are under way.

    Mend: raise its limit of memory, or find what fills it.
    """
    assert all(each.oom_killed in container.oom_killed for each in replicas)


@pytest.mark.check("container.restart")
def test_container_comes_back_as_declared(container, replicas):
    """Without a restart policy, a reboot of the server at night ends the service.

    Mend: set `restart:` in the compose file, and run `docker compose up -d`.
    """
    assert all(each.restart in container.restart for each in replicas)


@pytest.mark.check("container.restarts")
def test_container_was_not_restarted_too_often(container, replicas):
    """Each restart is a crash; the policy hides them, and the requests under way are lost.

    Mend: read the log of the container before each restart.
    """
    assert all(each.restarts in container.restarts for each in replicas)


@pytest.mark.check("container.image", severity="blocker")
def test_container_runs_the_declared_image(container, replicas):
    """What was tested is not what runs, if what runs is another image.

    Mend: deploy the declared image, or declare the one that was released.
    """
    assert all(each.image in container.image for each in replicas)


@pytest.mark.check("container.digest", severity="blocker")
def test_container_runs_the_image_with_the_declared_digest(container, replica_images):
    """A tag can be moved; the digest is the image that was built and scanned.

    Mend: pull the image by its digest and recreate the container.
    """
    assert all(each.digest in container.digest for each in replica_images)


@pytest.mark.check("container.pinned")
def test_image_is_pinned_to_a_version(container, replicas):
    """`latest` is another program after the next pull, and there is nothing to roll back to.

    Mend: name the image by a version or a digest.
    """
    assert all(each.pinned in container.pinned for each in replicas)


@pytest.mark.check("container.current", severity="blocker")
def test_container_was_recreated_after_the_last_pull(container, replica_images):
    """The new image was pulled, and the old container goes on: the release did not happen.

    Mend: run `docker compose up -d`, which recreates what has a new image.
    """
    assert all(each.is_current in container.current for each in replica_images)


@pytest.mark.check("container.image_age")
def test_image_was_built_lately_enough(container, replica_images):
    """An image that nobody rebuilds keeps every hole that was found since.

    Mend: build it anew from an up-to-date base image, and deploy it.
    """
    assert all(each.age_s in container.image_age for each in replica_images)


@pytest.mark.check("container.memory")
def test_memory_is_limited_as_declared(container, replicas):
    """Without a limit, one leak takes all other services of the server down.

    Mend: set the limit in the compose file; docker-compose before 1.27 ignores what stands under `deploy:`.
    """
    assert all(each.memory in container.memory for each in replicas)


@pytest.mark.check("container.memory_reservation")
def test_memory_is_reserved_as_declared(container, replicas):
    """When the server runs short, what has no reservation is squeezed first.

    Mend: set the reservation in the compose file; docker-compose before 1.27 ignores what stands under `deploy:`.
    """
    assert all(each.memory_reservation in container.memory_reservation for each in replicas)


@pytest.mark.check("container.cpus")
def test_processors_are_limited_as_declared(container, replicas):
    """Without a limit, one endless loop makes every service of the server slow.

    Mend: set the limit in the compose file; docker-compose before 1.27 ignores what stands under `deploy:`.
    """
    assert all(each.cpus in container.cpus for each in replicas)


@pytest.mark.check("container.pids")
def test_processes_are_limited_as_declared(container, replicas):
    """Without a limit, one container that forks without end stops the server.

    Mend: set `pids_limit` in the compose file.
    """
    assert all(each.pids in container.pids for each in replicas)


@pytest.mark.check("container.user")
def test_container_runs_as_the_declared_user(container, replicas):
    """Root in a container is root in every volume of it, and one hole in the kernel away from the server.

    Mend: set `USER` in the image or `user:` in the compose file, and give it the files it writes.
    """
    assert all(each.user in container.user for each in replicas)


@pytest.mark.check("container.privileged", severity="blocker")
def test_container_is_privileged_only_where_declared(container, replicas):
    """A privileged container is the server itself: whoever gets into it has all of it.

    Mend: take `privileged: true` out, and add just the capability or device that it needs.
    """
    assert all(each.privileged in container.privileged for each in replicas)


@pytest.mark.check("container.docker_socket", severity="blocker")
def test_container_reaches_the_engine_only_where_declared(container, replicas, volume_folders):
    """Whoever can write to the engine's socket can start a container with the server's disk in it.

    Mend: take the mount out; put a proxy that only lets reading through before what must look.
    """
    assert all(each.has_engine_socket(volume_folders) in container.docker_socket for each in replicas)


@pytest.mark.check("container.added_capabilities")
def test_container_has_no_more_capabilities_than_declared(container, replicas):
    """With SYS_ADMIN or NET_ADMIN a broken container breaks more than itself.

    Mend: take out of `cap_add` what it does not need.
    """
    assert all(each.added_capabilities in container.added_capabilities for each in replicas)


@pytest.mark.check("container.dropped_capabilities")
def test_container_has_given_up_the_declared_capabilities(container, replicas):
    """Nearly no service needs the capabilities that docker gives to all.

    Mend: write `cap_drop: [ALL]`, and add again what it needs.
    """
    assert all(each.dropped_capabilities in container.dropped_capabilities for each in replicas)


@pytest.mark.check("container.read_only")
def test_root_filesystem_can_be_written_only_where_declared(container, replicas):
    """What an intruder can't write he can't run after the next restart.

    Mend: set `read_only: true`, and mount a tmpfs where it has to write.
    """
    assert all(each.read_only in container.read_only for each in replicas)


@pytest.mark.check("container.new_privileges")
def test_processes_gain_privileges_only_where_declared(container, replicas):
    """One setuid program in the image undoes that the service runs as nobody.

    Mend: write `security_opt: [no-new-privileges:true]`.
    """
    assert all(each.new_privileges in container.new_privileges for each in replicas)


@pytest.mark.check("container.networks")
def test_container_is_in_the_declared_networks_only(container, replicas):
    """In one network, the web server that was broken into talks to the database directly.

    Mend: give it the declared networks in the compose file.
    """
    assert all(each.networks in container.networks for each in replicas)


@pytest.mark.check("container.published", severity="blocker")
def test_container_publishes_the_declared_ports_only(container, replicas):
    """A port that docker publishes goes past ufw: it is open to everybody.

    Mend: take the port out of `ports:`, or write the address before it: `127.0.0.1:8080:80`.
    """
    assert all(each.published in container.published for each in replicas)


@pytest.mark.check("container.published_on", severity="blocker")
def test_ports_are_published_on_the_declared_addresses_only(container, replicas):
    """On 0.0.0.0 a port that docker publishes goes past ufw: it is open to everybody.

    Mend: write the address before the port in `ports:`, e.g. `127.0.0.1:8080:80`.
    """
    assert all(each.published_on in container.published_on for each in replicas)


@pytest.mark.check("container.log_driver")
def test_logs_go_where_declared(container, replicas):
    """Logs that go elsewhere are missing from the search on the night they are needed.

    Mend: set `logging:` in the compose file, or the daemon's default, and recreate the container.
    """
    assert all(each.log_driver in container.log_driver for each in replicas)


@pytest.mark.check("container.log_space")
def test_logs_can_not_fill_the_disk(container, replicas):
    """By default docker never cuts a log: one chatty service fills the disk, and all stop.

    Mend: set `max-size` and `max-file` under `logging: options:`, and recreate the container.
    """
    assert all(each.log_space in container.log_space for each in replicas)


@pytest.mark.check("container.environment", severity="blocker")
def test_container_was_started_with_the_declared_variables(replicas, key, expected):
    """A variable that the file has and the container lacks silently means the program's default.

    Mend: pass it under `environment:` or `env_file:`, and recreate the container.
    """
    assert all(each.environment.get(key) in expected for each in replicas)


@pytest.mark.check("secret_variable.set", severity="blocker")
def test_secret_variable_is_set(secret_variable, replica_secrets):
    """A program that finds no password uses an empty one, or the one that its source code has for tests.

    Mend: pass the secret under `environment:` or `env_file:`, and recreate the container.
    """
    assert all(each.set in secret_variable.set for each in replica_secrets)


@pytest.mark.check("secret_variable.min_length", severity="blocker")
def test_secret_variable_is_long_enough(secret_variable, replica_secrets):
    """A short key is guessed offline, and then every session can be forged.

    Mend: make a new one, e.g. by `openssl rand -base64 48`, and recreate the container.
    """
    assert all(each.length in secret_variable.min_length for each in replica_secrets)


@pytest.mark.check("secret_variable.placeholder", severity="blocker")
def test_secret_variable_is_no_placeholder(secret_variable, replica_secrets):
    """A password of the example or of the test system is known to everybody who ever worked on it.

    Mend: pass the real secret, and recreate the container.
    """
    assert all(each.is_placeholder(secret_variable) in secret_variable.placeholder for each in replica_secrets)


@pytest.mark.check("container.environment_has", severity="blocker")
def test_environment_has_what_it_must_and_nothing_that_it_must_not(replicas, key, expected):
    """A password of the test system in production is known to everybody who ever tested.

    Mend: change the variable where the deployment takes it from, and recreate the container.
    """
    assert all(each.environment_has(key) in expected for each in replicas)


@pytest.mark.check("container.environment_filled")
def test_every_variable_has_a_value(container, replicas):
    """Where a secret was not there at deployment, the container starts with an empty one, or with `${ITS_NAME}`.

    Mend: set the variable where the deployment runs, and recreate the container.
    """
    assert all(each.filled in container.environment_filled for each in replicas), (
        f"no value in {replicas.unfilled or 'what is not there'}"
    )


@pytest.mark.check("container.command")
def test_container_was_started_by_the_declared_command(replicas, key, expected):
    """A setting that is passed as a variable, to a program that only reads flags, sets nothing.

    Mend: change `command:` in the compose file, and recreate the container.
    """
    assert all(each.command_has(key) in expected for each in replicas)


@pytest.mark.check("container.labels")
def test_container_has_the_declared_labels(replicas, key, expected):
    """Proxies, updaters and monitoring find a container by its labels, or don't.

    Mend: set `labels:` in the compose file, and recreate the container.
    """
    assert all(each.labels.get(key) in expected for each in replicas)


@pytest.mark.check("volume.source", severity="blocker")
def test_declared_source_is_mounted(volume, replica_mounts):
    """What is written to a container without its volume is gone with the next deployment.

    Mend: mend `volumes:` in the compose file; save what was written in the container before recreating it.
    """
    assert all((each and each.source) in volume.source for each in replica_mounts)


@pytest.mark.check("volume.type")
def test_volume_is_of_the_declared_type(volume, replica_mounts):
    """An anonymous volume in place of a folder of the server is one that no backup knows of.

    Mend: mend `volumes:` in the compose file; save what was written before recreating the container.
    """
    assert all((each and each.type) in volume.type for each in replica_mounts)


@pytest.mark.check("volume.writable")
def test_volume_can_be_written_only_where_declared(volume, replica_mounts):
    """Whoever breaks into the container can change whatever it can write, be it the key to the backups.

    Mend: add `:ro` to the volume in the compose file, or take it away.
    """
    assert all((each and each.writable) in volume.writable for each in replica_mounts)


@pytest.mark.check("containers.undeclared")
def test_nothing_runs_that_is_not_declared(containers, strangers):
    """A container that somebody started by hand takes memory and ports, and nobody updates it.

    Mend: declare it, or stop and remove it.
    """
    assert len(strangers.undeclared) in containers.undeclared, f"not declared: {', '.join(strangers.undeclared)}"


@pytest.mark.check("containers.orphans")
def test_project_has_no_containers_of_services_that_are_gone(containers, strangers):
    """A service that was taken out of the file goes on with its old code, and does its work a second time.

    Mend: run `docker compose up -d --remove-orphans` with the right files and profiles.
    """
    assert len(strangers.orphans) in containers.orphans, f"orphans: {', '.join(strangers.orphans)}"


@pytest.mark.check("containers.exited", severity="minor")
def test_no_stopped_containers_lie_about(containers, strangers):
    """Stopped containers keep their layers and logs on the disk, and hide the one that stopped by itself.

    Mend: look at why each ended, then run `docker container prune`.
    """
    assert len(strangers.exited) in containers.exited, f"stopped: {', '.join(strangers.exited)}"


@pytest.mark.check("containers.dangling_images", severity="minor")
def test_no_images_without_a_name_fill_the_disk(containers, leftovers):
    """Every deployment leaves an image behind, until the disk is full in the midst of one.

    Mend: run `docker image prune`, best after each deployment.
    """
    assert len(leftovers.images) in containers.dangling_images


@pytest.mark.check("containers.dangling_volumes", severity="minor")
def test_no_volumes_without_a_container_are_left(containers, leftovers):
    """A volume without a container is space that nobody uses, or data that a service lost.

    Mend: look what is in it; then remove it with `docker volume rm`, or mount it again.
    """
    assert len(leftovers.volumes) in containers.dangling_volumes


@pytest.mark.check("compose.missing", severity="blocker")
def test_every_service_of_the_compose_files_runs(compose_file, differences):
    """What the file starts, and the server doesn't run, is a deployment that went half way.

    Mend: run `docker compose up -d` with all the files and profiles, and read the log of what stopped.
    """
    assert len(differences.missing) in compose_file.missing, f"not running: {', '.join(differences.missing)}"


@pytest.mark.check("compose.differences", severity="blocker")
def test_what_runs_is_what_the_compose_files_say(compose_file, differences):
    """A change by hand is lost at the next deployment; a limit that was ignored never was there.

    Mend: run `docker compose up -d` with all the files and profiles, or write into them what is right.
    """
    assert len(differences.found) in compose_file.differences and differences.compared_in_full, differences.told


@pytest.mark.check("daemon.version")
def test_engine_is_recent_enough(daemon, daemon_settings):
    """The holes by which one leaves a container are mended in the engine.

    Mend: update docker and restart its daemon.
    """
    assert daemon_settings.version in daemon.version


@pytest.mark.check("daemon.live_restore")
def test_containers_survive_a_restart_of_the_daemon_as_declared(daemon, daemon_settings):
    """Without live-restore, an update of docker stops every service of the server.

    Mend: write `"live-restore": true` into /etc/docker/daemon.json, and reload the daemon.
    """
    assert daemon_settings.live_restore in daemon.live_restore


@pytest.mark.check("daemon.log_driver")
def test_new_containers_log_where_declared(daemon, daemon_settings):
    """With the default json-file and no limit, the next container that is started may fill the disk.

    Mend: set `log-driver` and `log-opts` in /etc/docker/daemon.json, and restart the daemon.
    """
    assert daemon_settings.log_driver in daemon.log_driver


@pytest.mark.check("daemon.storage_driver")
def test_layers_are_stored_as_declared(daemon, daemon_settings):
    """With the driver `vfs` every container copies its whole image: the disk is full within days.

    Mend: set `storage-driver` in /etc/docker/daemon.json; images have to be pulled again.
    """
    assert daemon_settings.storage_driver in daemon.storage_driver


@pytest.mark.check("daemon.security")
def test_containers_are_guarded_as_declared(daemon, daemon_settings):
    """Seccomp and AppArmor are what is left when a service in a container is taken over.

    Mend: take `seccomp-profile: unconfined` out of the daemon's settings; install apparmor.
    """
    assert daemon_settings.security in daemon.security


@pytest.mark.check("daemon.insecure_registries", severity="blocker")
def test_no_registry_is_trusted_without_tls(daemon, daemon_settings):
    """Whoever stands between the server and such a registry decides what runs in production.

    Mend: give the registry a certificate, and take it out of `insecure-registries`.
    """
    assert daemon_settings.insecure_registries in daemon.insecure_registries
