"""What must hold under load, from when a visitor meant to ask until the answer was there."""

import pytest

# A run takes as long as its plan says.
pytestmark = [pytest.mark.live, pytest.mark.timeout(0)]


@pytest.mark.check("load.rate", severity="blocker")
def test_target_keeps_up_with_the_load(load_run, thresholds):
    """Whoever comes beyond what it can answer waits, and then goes.

    Mend: see in the charts when the rate fell below what was offered, and what was full then: CPU,
    connections, locks.
    """
    assert load_run.conclude("rate", thresholds.rate) in thresholds.rate


@pytest.mark.check("load.worst_rate")
def test_target_keeps_up_in_its_worst_ten_seconds(load_run, thresholds):
    """An average over five minutes hides the ten seconds in which nobody was answered.

    Mend: see what happens on the target at that time: a job, a collection, a failover.
    """
    assert load_run.conclude("worst_rate", thresholds.worst_rate) in thresholds.worst_rate


@pytest.mark.check("load.p50")
def test_half_answers_are_in_time(load_run, thresholds):
    """Half of all visitors are slower than this; it is what the system feels like.

    Mend: compare response with service time: where only the first is slow, requests queue; then see the
    slowest endpoint.
    """
    assert load_run.conclude("p50", thresholds.p50) in thresholds.p50


@pytest.mark.check("load.p90")
def test_nine_of_ten_answers_are_in_time(load_run, thresholds):
    """One visitor in ten is slower than this.

    Mend: compare response with service time: where only the first is slow, requests queue; then see the
    slowest endpoint.
    """
    assert load_run.conclude("p90", thresholds.p90) in thresholds.p90


@pytest.mark.check("load.p95", severity="blocker")
def test_95_of_100_answers_are_in_time(load_run, thresholds):
    """Whoever opens a page of twenty requests meets the slowest of them each time.

    Mend: compare response with service time: where only the first is slow, requests queue; then see the
    slowest endpoint.
    """
    assert load_run.conclude("p95", thresholds.p95) in thresholds.p95


@pytest.mark.check("load.p99", severity="blocker")
def test_99_of_100_answers_are_in_time(load_run, thresholds):
    """A stall of half a second every few seconds shows here, and nowhere before.

    Mend: compare response with service time: where only the first is slow, requests queue; then see the
    slowest endpoint.
    """
    assert load_run.conclude("p99", thresholds.p99) in thresholds.p99


@pytest.mark.check("load.p99_9")
def test_999_of_1000_answers_are_in_time(load_run, thresholds):
    """The rarest answers belong to the largest customers, who have the most data.

    Mend: compare response with service time: where only the first is slow, requests queue; then see the
    slowest endpoint.
    """
    assert load_run.conclude("p99_9", thresholds.p99_9) in thresholds.p99_9


@pytest.mark.check("load.max")
def test_no_answer_takes_too_long(load_run, thresholds):
    """Beyond the timeout of whoever asks, an answer is none.

    Mend: look for that request in the target's log by its time.
    """
    assert load_run.conclude("max", thresholds.max) in thresholds.max


@pytest.mark.check("load.errors", severity="blocker")
def test_answers_stay_right_under_load(load_run, thresholds):
    """An error is the fastest answer there is; a system that sheds load so looks quick and serves nobody.

    Mend: the evidence counts the errors by kind; look for the first of them in the target's log.
    """
    assert load_run.conclude("errors", thresholds.errors) in thresholds.errors


@pytest.mark.check("load.endpoint.p50")
def test_half_answers_of_an_endpoint_are_in_time(load_run, endpoint_thresholds):
    """A slow endpoint that is seldom asked hides in the numbers of all.

    Mend: trace one of its requests under load, and see where the time goes.
    """
    taken = load_run.conclude_endpoint(endpoint_thresholds.name, "p50", endpoint_thresholds.p50)
    assert taken in endpoint_thresholds.p50


@pytest.mark.check("load.endpoint.p95")
def test_95_of_100_answers_of_an_endpoint_are_in_time(load_run, endpoint_thresholds):
    """A slow endpoint that is seldom asked hides in the numbers of all.

    Mend: trace one of its requests under load, and see where the time goes.
    """
    taken = load_run.conclude_endpoint(endpoint_thresholds.name, "p95", endpoint_thresholds.p95)
    assert taken in endpoint_thresholds.p95


@pytest.mark.check("load.endpoint.p99")
def test_99_of_100_answers_of_an_endpoint_are_in_time(load_run, endpoint_thresholds):
    """A slow endpoint that is seldom asked hides in the numbers of all.

    Mend: trace one of its requests under load, and see where the time goes.
    """
    taken = load_run.conclude_endpoint(endpoint_thresholds.name, "p99", endpoint_thresholds.p99)
    assert taken in endpoint_thresholds.p99


@pytest.mark.check("load.endpoint.errors", severity="blocker")
def test_answers_of_an_endpoint_stay_right(load_run, endpoint_thresholds):
    """One endpoint that fails for everyone is a small share of all requests.

    Mend: look for its errors in the target's log.
    """
    taken = load_run.conclude_endpoint(endpoint_thresholds.name, "errors", endpoint_thresholds.errors)
    assert taken in endpoint_thresholds.errors


@pytest.mark.check("load.baseline.p50")
def test_half_answers_are_no_slower_than_they_were(comparison, compare):
    """Each release a tenth slower is within every limit until the last one isn't.

    Mend: find the change since the last good run; if it is meant to be, take the old runs out of the baseline.
    """
    assert comparison.slower_percent("p50") in compare.p50


@pytest.mark.check("load.baseline.p95")
def test_95_of_100_answers_are_no_slower_than_they_were(comparison, compare):
    """Each release a tenth slower is within every limit until the last one isn't.

    Mend: find the change since the last good run; if it is meant to be, take the old runs out of the baseline.
    """
    assert comparison.slower_percent("p95") in compare.p95


@pytest.mark.check("load.baseline.p99")
def test_99_of_100_answers_are_no_slower_than_they_were(comparison, compare):
    """Each release a tenth slower is within every limit until the last one isn't.

    Mend: find the change since the last good run; if it is meant to be, take the old runs out of the baseline.
    """
    assert comparison.slower_percent("p99") in compare.p99


@pytest.mark.check("load.server.cpu")
def test_processors_have_room_left_under_load(watched, watch):
    """A server that is full at today's load has nothing left for a bad day.

    Mend: see in a profile what uses them; then give it more, or spread the load.
    """
    assert watched.cpu_percent in watch.cpu


@pytest.mark.check("load.server.memory")
def test_memory_is_not_used_up_under_load(watched, watch):
    """What grows with the load is killed at its peak, when it is needed most.

    Mend: bound what grows: workers, caches, queues, and the size of what is read at once.
    """
    assert watched.memory_percent in watch.memory


@pytest.mark.check("load.server.connections")
def test_connections_do_not_run_out_under_load(watched, watch):
    """Beyond the limit of a database the next request gets an error, however fast the others are.

    Mend: put a pool between, and let the pools of all workers add up to less than the limit.
    """
    assert watched.connections in watch.connections
