"""Calls that do not depend on each other, side by side in processes of joblib, or one after the other without it.

Results come in the order of the calls, and each is that of the call alone: what a process computes depends on its
arguments, not on the others. A process begins anew, so that it has nothing of what the caller changed in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def run_jobs(call: Callable[..., T], arguments: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Yield call(*a) for every a of `arguments`, in their order, up to `jobs` of them at the same time.

    Parameters
    ----------
    call : a function of a module
    jobs : 1: in this process, one after the other, without joblib

    Raises
    ------
    ModuleNotFoundError : several jobs, and no joblib
    """
    if jobs == 1:
        for given in arguments:
            yield call(*given)
        return
    import joblib

    yield from joblib.Parallel(n_jobs=jobs, return_as="generator")(joblib.delayed(call)(*a) for a in arguments)
