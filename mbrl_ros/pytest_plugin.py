"""The fixture `replay_bag`: your own bags as tests of your own configuration; pytest finds it by itself.

    def test_last_weeks_run(replay_bag):
        replay = replay_bag("bags/run1", golden="bags/run1.npz")
        assert replay.summary["prediction"]["nmse_1_qd"] < 0.5

Paths are relative to the test's folder. The first `pytest --update-golden` writes the golden file; from then on a
replay that differs from it fails with what differs. See replay/golden.py for what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option --update-golden."""
    parser.addoption(
        "--update-golden", action="store_true", help="mbrl_ros: write the golden replays instead of comparing"
    )


@pytest.fixture
def replay_bag(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a function that replays a bag and compares the replay with a golden one.

    Its parameters, of which `bag`, `golden` and `config` are relative to the test's folder:

    bag
        what is replayed.
    golden
        the golden file; None: nothing is compared.
    tolerance
        see replay/golden.py.
    config, settings, topics, joints, plan, begin, end
        as the options of `mbrl replay`.

    It returns the `Replay` and fails the test where the two differ.
    """
    from .replay import Mapped, ReplayOptions, replay
    from .replay.golden import COMMAND_TOLERANCE, Golden, differences

    here = Path(request.path).parent

    def replayed(
        bag: str | Path,
        golden: str | Path | None = None,
        tolerance: float = COMMAND_TOLERANCE,
        *,
        config: str = "",
        settings: dict[str, Any] | None = None,
        topics: Sequence[str] = (),
        joints: Sequence[str] = (),
        plan: bool = True,
        begin: float = 0.0,
        end: float = float("inf"),
    ) -> Any:
        name = str(here / config) if config.endswith((".yaml", ".yml")) else config
        made = replay(ReplayOptions(here / bag, name, settings or {}, Mapped.of(topics, joints), begin, end, plan))
        if golden is None:
            return made
        file = here / golden
        if request.config.getoption("--update-golden"):
            Golden.of(made).save(file)
        elif not file.exists():
            pytest.fail(f"{file} does not exist: pytest --update-golden writes it", pytrace=False)
        elif lines := differences(Golden.of(made), Golden.load(file), tolerance):
            pytest.fail("\n".join([f"the replay of {bag} differs from {golden}:", *lines]), pytrace=False)
        return made

    return replayed
