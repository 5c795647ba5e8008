"""Calls that do not depend on each other, side by side in workers of joblib, or one after the other without it.

What a worker computes depends on its arguments, not on the others and not on how many there are: the result is that of
the calls one after the other. A worker begins anew, so that it has nothing of what the caller changed in memory, and a
call within a call is run in the worker that has it. Backends:

    processes   processes of this machine (joblib's loky)
    dask        a cluster of Dask, `cluster` the address of its scheduler; without one, processes that it starts here
    ray         a cluster of Ray, `cluster` its address; without one, workers that it starts here
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..exceptions import unknown

T = TypeVar("T")
JOB_BACKENDS = {
    "processes": ("joblib",),
    "dask": ("joblib", "distributed"),
    "ray": ("joblib", "ray"),
}  # what each imports
# How many workers there are, and how joblib returns what they found: one by one, or (Ray) all in the end.
_WORKERS: contextvars.ContextVar[tuple[int, str]] = contextvars.ContextVar("workers", default=(1, "list"))


@contextlib.contextmanager
def workers(jobs: int, backend: str = "processes", cluster: str | None = None) -> Iterator[None]:
    """Let `run_jobs` have up to `jobs` workers within the context; 1 worker of `processes`: none, this process works.

    Raises
    ------
    ConfigurationError : there is no such backend
    ModuleNotFoundError : what the backend needs is missing
    """
    if backend not in JOB_BACKENDS:
        raise unknown("backend", backend, JOB_BACKENDS)
    if jobs == 1 and backend == "processes":
        yield
        return
    import joblib

    with contextlib.ExitStack() as opened:
        if backend == "dask":
            opened.enter_context(_dask(jobs, cluster))
        if backend == "ray":
            opened.enter_context(_ray(jobs, cluster))
        name = "loky" if backend == "processes" else backend
        opened.enter_context(joblib.parallel_config(name, n_jobs=jobs))
        token = _WORKERS.set((jobs, "list" if backend == "ray" else "generator_unordered"))
        try:
            yield
        finally:
            _WORKERS.reset(token)


@contextlib.contextmanager
def _dask(jobs: int, cluster: str | None) -> Iterator[None]:
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as opened:
        if cluster is None:
            local = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
            address = opened.enter_context(local).scheduler_address
        else:
            address = cluster
        opened.enter_context(Client(address))
        yield


@contextlib.contextmanager
def _ray(jobs: int, cluster: str | None) -> Iterator[None]:
    import ray
    from ray.util.joblib import register_ray

    if cluster is None:
        found_here = {"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}  # modules that this process finds
        ray.init(num_cpus=jobs, include_dashboard=False, configure_logging=False, runtime_env=found_here)
    else:
        ray.init(address=cluster, configure_logging=False)
    try:
        register_ray()
        yield
    finally:
        ray.shutdown()


def worker_count() -> int:
    """Return how many workers `run_jobs` has here; 1 in a worker and without `workers`."""
    return _WORKERS.get()[0]


def run_jobs(call: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """Return [call(*a) for a in arguments], computed by the workers there are.

    call: a function of a module.
    """
    found = dict(finished_jobs(call, arguments))
    return [found[number] for number in range(len(arguments))]


def finished_jobs(call: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, T]]:
    """Yield (number, call(*arguments[number])) as soon as it is known (with Ray: in the end); without workers in order.

    call: a function of a module. An error of a call is raised as it is; what was yielded before is not lost.
    """
    if worker_count() == 1 or len(arguments) < 2:
        for number, given in enumerate(arguments):
            yield number, call(*given)
        return
    import joblib

    numbered = (joblib.delayed(_numbered)(number, call, given) for number, given in enumerate(arguments))
    yield from joblib.Parallel(return_as=_WORKERS.get()[1], batch_size=1, pre_dispatch="all")(numbered)


def _numbered(number: int, call: Callable[..., T], given: tuple[Any, ...]) -> tuple[int, T]:
    return number, call(*given)
