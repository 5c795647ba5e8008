"""Errands: in order, in another thread, bounded, and none ends the others."""

import threading

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from mbrl_ros.nodes.background_worker import Errands


def test_errands_are_done_in_order_in_another_thread():
    errands, done = Errands(), []
    assert all(errands.run(lambda k=k: done.append((k, threading.current_thread().name))) for k in range(5))
    errands.close()
    assert done == [(k, "errands") for k in range(5)]


def test_whoever_asks_does_not_wait_and_too_many_are_refused():
    errands, busy, go = Errands(most=2), threading.Event(), threading.Event()

    def long():
        busy.set()
        assert go.wait(10.0)

    assert errands.run(long) and busy.wait(10.0)
    assert [errands.run(lambda: None) for _ in range(3)] == [True, True, False]
    go.set()
    errands.close()


def test_one_that_fails_does_not_end_the_others(capsys):
    errands, done = Errands(), []
    errands.run(lambda: 1 / 0)
    errands.run(lambda: done.append(True))
    errands.close()
    assert done and "ZeroDivisionError" in capsys.readouterr().err
