"""The line of a plan: no segment without a length, whose direction is undefined, is drawn."""

import numpy as np
import pytest

from mbrl_ros.view.solids import SHORTEST_SEGMENT, drawn_segments


def test_a_path_in_motion_is_drawn_as_it_is():
    path = np.cumsum(np.full((5, 3), 0.01), axis=0)
    assert drawn_segments(path) == pytest.approx(np.stack([path[:-1], path[1:]], axis=1), abs=1e-7)


def test_segments_without_a_length_are_their_neighbor_and_their_number_stays():
    path = np.array([0.0, 0.0, 0.1, 0.1, 0.1, 0.3, 0.3])[:, None] * np.ones(3)
    segments = drawn_segments(path)
    assert segments.shape == (6, 2, 3)
    assert (np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1) > SHORTEST_SEGMENT).all()
    assert segments[:, 1, 0] == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.3, 0.3])


@pytest.mark.parametrize("path", (np.zeros((0, 3)), np.zeros((1, 3)), np.full((30, 3), 0.5)))
def test_a_plan_at_rest_or_of_one_point_has_no_line(path):
    assert drawn_segments(path).shape == (0, 2, 3)


def test_differences_below_single_precision_are_no_length():
    assert not len(drawn_segments(np.array([[0.7, 0.0, 0.7], [0.7 + 1e-9, 0.0, 0.7], [0.7 + 2e-9, 0.0, 0.7]])))
