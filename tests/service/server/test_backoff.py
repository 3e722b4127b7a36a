from service.server.backoff import MAX_DELAY_SECONDS, STABLE_SECONDS, BootBackoff


def fail(backoff: BootBackoff, times: int = 1) -> list[float]:
    """The delays after failed boots."""
    delays = []
    for _ in range(times):
        backoff.record_end(1.0, was_ready=False)
        delays.append(backoff.delay_seconds)
    return delays


def test_delay_doubles_with_each_failed_boot_up_to_its_limit() -> None:
    assert fail(BootBackoff(100), 7) == [1.0, 2.0, 4.0, 8.0, 16.0, MAX_DELAY_SECONDS, 30.0]


def test_worker_that_lived_long_is_replaced_at_once() -> None:
    backoff = BootBackoff(8)
    fail(backoff, 3)
    backoff.record_ready()
    backoff.record_end(STABLE_SECONDS, was_ready=True)
    assert backoff.delay_seconds == 0.0


def test_worker_that_was_ready_for_a_moment_waits_too_but_is_not_a_failed_boot() -> None:
    backoff = BootBackoff(2)
    for _ in range(5):
        backoff.record_ready()
        backoff.record_end(0.5, was_ready=True)
    assert backoff.delay_seconds == 16.0
    assert not backoff.is_exhausted


def test_failed_boots_in_a_row_exhaust_it() -> None:
    backoff = BootBackoff(3)
    fail(backoff, 2)
    assert not backoff.is_exhausted
    fail(backoff)
    assert backoff.is_exhausted


def test_ready_worker_resets_the_count() -> None:
    backoff = BootBackoff(3)
    fail(backoff, 2)
    backoff.record_ready()
    fail(backoff, 2)
    assert not backoff.is_exhausted


def test_delay_stays_a_number_however_often_a_worker_ends() -> None:
    assert fail(BootBackoff(1), 5000)[-1] == MAX_DELAY_SECONDS
