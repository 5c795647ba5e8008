"""The posteriors, readable and compiled, for tests of both."""

import pytest

from mbrl_ros.dynamics import RegressionPosterior
from mbrl_ros.dynamics.compiled_posterior import CompiledPosterior, library

KINDS = [
    RegressionPosterior,
    pytest.param(
        CompiledPosterior,
        marks=pytest.mark.skipif(library() is None, reason="no C++ compiler: there is only the readable one"),
    ),
]
