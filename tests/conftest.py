"""What all tests of the engine share."""

import signal

pytest_plugins = ["pytester", "tests.lab.fixtures"]


def pytest_configure() -> None:
    """What was started in the background ignores these signals, and so would all that the tests start and stop."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
