"""A server is watched while it is under load, by what its kernel counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from readygate.areas.load.watch import Sample, Watch, conclude_watched, parse_sample
from readygate.errors import CouldNotLook
from readygate.load.outcome import Outcome
from tests.holding import suite_functions
from tests.test_load_outcome import written

BEGAN = 1893553445.0  # when the recorded run began: 2030-01-02T03:04:05Z; it is measured from its second second on

RECORDED = """\
cpu  1000 0 500 8000 400 0 50 50 0 0
MemTotal:        4000000 kB
MemFree:          500000 kB
MemAvailable:    1000000 kB
sockets
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 21000 1
   1: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   104        0 21001 1
   2: 0100007F:C350 0100007F:1538 01 00000000:00000000 00:00000000 00000000  1000        0 21002 1
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:1538 00000000000000000000000001000000:C351 01 00000000:00000000
"""


def test_a_sample_is_read_from_what_the_kernel_says() -> None:
    assert parse_sample(RECORDED, 5432, 7.0) == Sample(7.0, 1600, 10000, 75.0, 2)


def samples(*busy: int) -> list[Sample]:
    """One a second from the start on, of a hundred ticks each."""
    return [Sample(BEGAN + at, each, 100 * at, 50.0 + at, 10 + at) for at, each in enumerate(busy)]


def test_only_what_was_seen_while_it_was_measured_counts(tmp_path: Path) -> None:
    warm_up_is_busy = samples(0, 100, 200, 240, 280, 320)
    watched = conclude_watched(warm_up_is_busy, Outcome.read(written(tmp_path)))
    assert watched.cpu_percent == pytest.approx(40.0)
    assert watched.memory_percent == 55.0
    assert watched.connections == 15


@pytest.mark.parametrize(
    ("name", "room", "none"), [("cpu", "80%", "30%"), ("memory", "80%", "30%"), ("connections", 90, 9)]
)
def test_a_full_server_fails(name: str, room: object, none: object, tmp_path: Path) -> None:
    watched = conclude_watched(samples(0, 100, 200, 240, 280, 320), Outcome.read(written(tmp_path)))
    check = dict(suite_functions("load"))[f"load.server.{name}"]
    check(watched=watched, watch=Watch.model_validate({"on": "app-1", name: room}))
    with pytest.raises(AssertionError):
        check(watched=watched, watch=Watch.model_validate({"on": "app-1", name: none}))


def test_a_server_that_was_hardly_looked_at_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="looked at 1 times"):
        conclude_watched(samples(0, 0, 50), Outcome.read(written(tmp_path)))
