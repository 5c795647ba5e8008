"""BackgroundWorker: in order, in another thread, bounded, and none ends the others."""

import threading

from support.needs import needs, present

if present("rclpy"):
    from mbrl_ros.nodes.background_worker import BackgroundWorker

pytestmark = needs("rclpy")


def test_tasks_run_in_order_in_another_thread():
    worker, done = BackgroundWorker(), []
    assert all(worker.run(lambda k=k: done.append((k, threading.current_thread().name))) for k in range(5))
    worker.close()
    assert done == [(k, "worker") for k in range(5)]


def test_whoever_asks_does_not_wait_and_too_many_are_refused():
    worker, busy, go = BackgroundWorker(capacity=2), threading.Event(), threading.Event()

    def long():
        busy.set()
        assert go.wait(10.0)

    assert worker.run(long) and busy.wait(10.0)
    assert [worker.run(lambda: None) for _ in range(3)] == [True, True, False]
    go.set()
    worker.close()


def test_one_that_fails_does_not_end_the_others(capsys):
    worker, done = BackgroundWorker(), []
    worker.run(lambda: 1 / 0)
    worker.run(lambda: done.append(True))
    worker.close()
    assert done and "ZeroDivisionError" in capsys.readouterr().err
