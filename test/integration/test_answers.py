"""Answers of services: one that cannot be used is logged, and ends nothing."""

import pytest

from support.needs import needs, present

if present("rclpy"):
    from rclpy.task import Future

    from mbrl_ros.nodes.answers import when_answered

pytestmark = needs("rclpy")


class Log:
    """A node that keeps what it logs."""

    def __init__(self):
        self.errors = []

    def get_logger(self):
        return self

    def error(self, text: str) -> None:
        self.errors.append(text)


@pytest.mark.filterwarnings("error")  # rclpy warns of an exception that leaves a callback
@pytest.mark.parametrize("fails", ("the use", "the service"))
def test_an_error_with_an_answer_is_logged_and_does_not_leave_the_callback(fails):
    """In an EventsExecutor it would end the process with a segmentation fault."""
    log, future, got = Log(), Future(), []

    def use(answer):
        got.append(answer)
        raise ValueError("not enough values")

    when_answered(log, future, use)
    if fails == "the use":
        future.set_result(3)
        assert got == [3] and "not enough values" in log.errors[0]
    else:
        future.set_exception(RuntimeError("no such service"))
        assert got == [] and "no such service" in log.errors[0]
    assert len(log.errors) == 1
