"""Faults of containers, on an engine of their own (`tests/lab/container_engine.py`)."""

from tests.lab.faults import AreaFaults, Fault

SOUND = """\
servers:
  target:
    connect: ${LAB_HOST}
    containers:
      compose: shop
      undeclared: 0
      orphans: 0
      exited: 0
      dangling_images: 0
      dangling_volumes: 0
      services:
        api:
          exists: true
          running: true
          replicas: 1
          health: healthy
          failing_streak: 0
          oom_killed: false
          restart: always
          restarts: 0
          image: shop/api:1.4.2
          pinned: true
          current: true
          image_age: 3650d
          memory: 64M
          memory_reservation: 32M
          cpus: 0.5
          pids: 100
          user: "1000:1000"
          privileged: false
          docker_socket: false
          added_capabilities: [NET_BIND_SERVICE]
          dropped_capabilities: [ALL]
          read_only: true
          new_privileges: false
          networks: [shop_front]
          published: ["127.0.0.1:18080:80"]
          published_on: [127.0.0.1]
          log_driver: json-file
          log_space: 30MB
          environment: {LOG_LEVEL: WARNING}
          secrets: {DB_PASSWORD: {set: true, min_length: 12, placeholder: false, not_one_of: [shop_dev]}}
          environment_has: {"^POSTGRES_HOST=db\\\\.": true, "^DEBUG=": false}
          environment_filled: true
          command: {"--retention=30d": true}
          labels: {team: shop}
          volumes:
            /data: {source: shop_data, type: volume, writable: true}
            /etc/shop: {source: /etc/ssl, type: bind, writable: false}
        migrate: {running: false, exit_code: 0}
      standalone:
        monitor: {running: true}
        db: {exists: false}
"""

# What `docker run` makes the sound container of; a fault changes one of these.
API = {
    "project": "--label com.docker.compose.project=shop",
    "service": "--label com.docker.compose.service=api",
    "label": "--label team=shop",
    "health": "--health-cmd 'test -e /data/sick && exit 1 || exit 0' --health-interval 100ms",
    "retries": "--health-retries 1",
    "restart": "--restart always",
    "memory": "--memory 64m",
    "reservation": "--memory-reservation 32m",
    "cpus": "--cpus 0.5",
    "pids": "--pids-limit 100",
    "user": "--user 1000:1000",
    "privileged": "",
    "add": "--cap-add NET_BIND_SERVICE",
    "drop": "--cap-drop ALL",
    "read_only": "--read-only",
    "security": "--security-opt no-new-privileges",
    "network": "--network shop_front",
    "port": "--publish 127.0.0.1:18080:80",
    "logs": "--log-driver json-file --log-opt max-size=10m --log-opt max-file=3",
    "level": "--env LOG_LEVEL=WARNING",
    "password": "--env DB_PASSWORD=correct-horse-battery",
    "host": "--env POSTGRES_HOST=db.shop.lab",
    "more": "",
    "data": "--volume shop_data:/data",
    "settings": "--volume /etc/ssl:/etc/shop:ro",
    "image": "shop/api:1.4.2",
    "command": "sh -c 'sleep 1000' --retention=30d",
}
UNTIL_JUDGED = """
until [ "$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{end}}' shop-api-1)" != starting ]
do sleep 0.05; done
"""


def api(name: str = "shop-api-1", **changes: str) -> str:
    """The commands that put another container in place of the sound one."""
    words = " ".join({**API, **changes}.values())
    return f"docker rm --force {name} >/dev/null 2>&1\ndocker run --detach --name {name} {words}\n{UNTIL_JUDGED}"


OF_SHOP = "--label com.docker.compose.project=shop --label com.docker.compose.service"
STARTED = f"""
docker network create shop_front
docker run --name shop-migrate-1 {OF_SHOP}=migrate shop/api:1.4.2 true &
docker run --detach --name monitor shop/api:1.4.2 sleep 1000 &
{api()}
wait
"""

HEALTHY = """
until docker inspect shop-api-{number} | grep -q '"healthy"'; do sleep 0.05; done
"""
BECOMES_SICK = "docker exec --user 0 shop-api-1 touch /data/sick"
UNTIL_SICK = "until docker inspect shop-api-1 | grep -q unhealthy; do sleep 0.05; done"
UNTIL_FAILING = """
until docker inspect --format '{{.State.Health.FailingStreak}}' shop-api-1 | grep -qv '^0$'; do sleep 0.05; done
"""
CRASHES = """
kill -KILL "$(docker inspect --format '{{.State.Pid}}' shop-api-1)"
until docker inspect --format '{{.RestartCount}} {{.State.Status}}' shop-api-1 | grep -q '1 running'
do sleep 0.05; done
"""
# The engine waits twice as long before each restart.
UNTIL_IT_RESTARTS_SELDOM = """
until [ "$(docker inspect --format '{{.RestartCount}} {{.State.Restarting}}' shop-api-1)" = '5 true' ]
do sleep 0.05; done
"""
MIGRATION_FAILS = f"""
docker rm shop-migrate-1
docker run --name shop-migrate-1 {OF_SHOP}=migrate shop/api:1.4.2 sh -c 'exit 1' || true
"""
MIGRATION_NEVER_RAN = f"""
docker rm shop-migrate-1
docker create --name shop-migrate-1 {OF_SHOP}=migrate shop/api:1.4.2 true
"""
MIGRATION_RUNS = f"""
docker rm shop-migrate-1
docker run --detach --name shop-migrate-1 {OF_SHOP}=migrate shop/api:1.4.2 sleep 1000
"""
UNTIL_KILLED = """
until docker inspect shop-api-1 | grep -q '"OOMKilled": true'; do sleep 0.05; done
"""
ANOTHER_IMAGE = "printf 'FROM scratch\\nLABEL build=2\\n' | docker build --quiet"
SLEEPS = "shop/api:1.4.2 sleep 1000"
NOT_RUNNING = (
    "container.running", "container.replicas", "container.health", "container.failing_streak",
    "container.published", "container.published_on",
)  # fmt: skip

UNHEALTHY = ("container.health", "container.failing_streak")

FAULTS = AreaFaults(
    "containers",
    SOUND,
    (
        Fault("container-stopped", NOT_RUNNING, "docker stop --time 0 shop-api-1"),
        Fault("container-paused", NOT_RUNNING, "docker pause shop-api-1"),
        Fault(
            "container-crashes-over-and-over",
            (*NOT_RUNNING, "container.restarts"),
            api(command="false --retention=30d") + UNTIL_IT_RESTARTS_SELDOM,
        ),
        Fault(
            "container-crashed-once",
            ("container.restarts",),
            CRASHES + HEALTHY.format(number=1),
            unsure=("container.running", "container.replicas"),
        ),
        Fault(
            "container-killed-for-want-of-memory",
            (*NOT_RUNNING, "container.oom_killed", "container.restart"),
            api(restart="", command="sh -c 'exec tail /dev/zero' --retention=30d") + UNTIL_KILLED,
        ),
        Fault("container-without-a-health-check", UNHEALTHY, api(health="", retries="")),
        Fault("container-unhealthy", UNHEALTHY, f"{BECOMES_SICK}\n{UNTIL_SICK}"),
        Fault(
            "health-checks-begin-to-fail",
            ("container.failing_streak",),
            f"{api(retries='--health-retries 9999')}{BECOMES_SICK}{UNTIL_FAILING}",
        ),
        Fault("migration-failed", ("container.exit_code",), MIGRATION_FAILS),
        Fault("migration-never-ran", ("container.exit_code",), MIGRATION_NEVER_RAN),
        Fault("migration-runs-still", ("container.running", "container.exit_code"), MIGRATION_RUNS),
        Fault(
            "one-replica-too-many",
            ("container.replicas", "container.published"),
            api("shop-api-2", port="--publish 127.0.0.1:18081:80") + HEALTHY.format(number=2),
        ),
        Fault("forbidden-container-runs", ("container.exists",), f"docker run --detach --name db {SLEEPS}"),
        Fault("restart-policy-missing", ("container.restart",), api(restart="")),
        Fault(
            "other-image",
            ("container.image",),
            f"docker tag shop/api:1.4.2 shop/api:1.4.1\n{api(image='shop/api:1.4.1')}",
        ),
        Fault(
            "image-by-latest",
            ("container.image", "container.pinned"),
            f"docker tag shop/api:1.4.2 shop/api\n{api(image='shop/api')}",
        ),
        Fault("pulled-but-not-recreated", ("container.current",), f"{ANOTHER_IMAGE} --tag shop/api:1.4.2 -"),
        Fault("memory-unlimited", ("container.memory",), api(memory="")),
        Fault("memory-not-reserved", ("container.memory_reservation",), api(reservation="")),
        Fault("processors-unlimited", ("container.cpus",), api(cpus="")),
        Fault("processes-unlimited", ("container.pids",), api(pids="")),
        Fault("container-runs-as-root", ("container.user",), api(user="")),
        Fault("container-runs-as-0", ("container.user",), api(user="--user 0:1000")),
        Fault("container-privileged", ("container.privileged",), api(privileged="--privileged")),
        Fault(
            "engine-socket-mounted",
            ("container.docker_socket",),
            api(more="--volume /var/run/docker.sock:/var/run/docker.sock:ro"),
        ),
        Fault("folder-of-the-socket-mounted", ("container.docker_socket",), api(more="--volume /run:/host:ro")),
        Fault("capability-added", ("container.added_capabilities",), api(more="--cap-add NET_ADMIN")),
        Fault("capabilities-kept", ("container.dropped_capabilities",), api(drop="")),
        Fault("root-filesystem-writable", ("container.read_only",), api(read_only="")),
        Fault("new-privileges-possible", ("container.new_privileges",), api(security="")),
        Fault("other-network", ("container.networks",), api(network="")),
        Fault(
            "network-of-the-host",
            ("container.networks", "container.published", "container.published_on"),
            api(network="--network host", port=""),
        ),
        Fault(
            "port-on-every-address",
            ("container.published", "container.published_on"),
            api(port="--publish 18080:80"),
        ),
        Fault("one-port-too-many", ("container.published",), api(more="--publish 127.0.0.1:18090:90")),
        Fault(
            "logs-elsewhere",
            ("container.log_driver",),
            api(logs="--log-driver local --log-opt max-size=10m --log-opt max-file=3"),
        ),
        Fault("logs-never-cut", ("container.log_space",), api(logs="--log-driver json-file")),
        Fault("log-level-left-on-debug", ("container.environment",), api(level="--env LOG_LEVEL=DEBUG")),
        Fault(
            "password-of-the-test-system",
            ("secret_variable.placeholder",),
            api(password="--env DB_PASSWORD=shop_dev_password"),
        ),
        Fault("password-too-short", ("secret_variable.min_length",), api(password="--env DB_PASSWORD=horse")),
        Fault(
            "password-missing",
            ("secret_variable.set", "secret_variable.min_length", "secret_variable.placeholder"),
            api(password=""),
        ),
        Fault("variable-missing", ("container.environment_has",), api(host="")),
        Fault("variable-forbidden", ("container.environment_has",), api(more="--env DEBUG=1")),
        Fault("variable-empty", ("container.environment_filled",), api(more="--env API_KEY=")),
        Fault(
            "placeholder-left-over",
            ("container.environment_filled",),
            api(more="--env 'API_KEY=${SHOP_API_KEY}'"),
        ),
        Fault("flag-missing", ("container.command",), api(command="sh -c 'sleep 1000'")),
        Fault("label-missing", ("container.labels",), api(label="")),
        Fault(
            "volume-missing",
            ("volume.source", "volume.type", "volume.writable", "containers.dangling_volumes"),
            api(data="--tmpfs /tmp"),
        ),
        Fault("anonymous-volume", ("volume.source", "containers.dangling_volumes"), api(data="--volume /data")),
        Fault(
            "folder-instead-of-the-volume",
            ("volume.source", "volume.type", "containers.dangling_volumes"),
            api(data="--volume /tmp:/data"),
        ),
        Fault("settings-writable", ("volume.writable",), api(settings="--volume /etc/ssl:/etc/shop")),
        Fault("stranger-runs", ("containers.undeclared",), f"docker run --detach --name miner {SLEEPS}"),
        Fault(
            "old-service-runs-still",
            ("containers.undeclared", "containers.orphans"),
            f"docker run --detach {OF_SHOP}=old {SLEEPS}",
        ),
        Fault(
            "one-off-runs-still",
            ("containers.undeclared", "containers.orphans"),
            f"docker run --detach {OF_SHOP}=api --label com.docker.compose.oneoff=True {SLEEPS}",
        ),
        Fault("stopped-container-left", ("containers.exited",), "docker run shop/api:1.4.2 true"),
        Fault("volume-left", ("containers.dangling_volumes",), "docker volume create left"),
        Fault("image-without-a-name-left", ("containers.dangling_images",), f"{ANOTHER_IMAGE} -"),
    ),
)
