"""Distances agree with brute force and with cases known by hand; their derivatives with differences."""

import numpy as np
import pytest

from mbrl_ros.collision.distance import segment_box, segment_plane, segment_segment

COUNT = 200


def points_on(segments, count=101):
    t = np.linspace(0.0, 1.0, count)[None, :, None]
    return segments[:, None, 0] + t * (segments[:, 1] - segments[:, 0])[:, None]


def segments(seed, count=COUNT):
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, 2, 3))
    drawn[: count // 8, 1] = drawn[: count // 8, 0]  # some are points
    axis = slice(count // 8, count // 4)
    drawn[axis, 1] = drawn[axis, 0] + rng.normal(size=(count // 8, 1)) * [1.0, 0.0, 0.0]  # some along an axis
    return drawn


def test_two_segments_are_as_far_apart_as_their_nearest_points():
    a, b = segments(0), segments(1)
    b[-20:] = a[-20:] + np.random.default_rng(2).normal(size=(20, 1, 3))  # parallel ones
    found = segment_segment(a, b)
    every = points_on(a)[:, :, None] - points_on(b)[:, None]
    nearest = np.sqrt((every**2).sum(axis=-1)).min(axis=(1, 2))
    assert (found.d <= nearest + 1e-12).all()  # no point that was tried is nearer
    assert (nearest - found.d).max() < 0.02  # and one of them is nearly as near
    assert np.median(nearest - found.d) < 2e-4


def test_a_segment_outside_a_box_is_as_far_from_it_as_its_nearest_point():
    a, half = segments(3), np.random.default_rng(4).uniform(0.1, 0.8, (COUNT, 3))
    found = segment_box(a, half)
    beyond = np.maximum(np.abs(points_on(a, 2001)) - half[:, None], 0.0)
    nearest = np.sqrt((beyond**2).sum(axis=-1)).min(axis=1)
    outside = nearest > 1e-3
    assert 50 < outside.sum() < COUNT - 50
    assert (found.d[outside] <= nearest[outside] + 1e-12).all()
    assert np.abs(nearest - found.d)[outside].max() < 2e-4
    assert (found.d[nearest == 0.0] <= 1e-12).all()


def test_the_way_out_of_a_box_is_the_shortest_of_all_directions():
    """The overlap along a direction is how far the segment must go: the least of many is nearly the depth."""
    a, half = 0.5 * segments(5), np.random.default_rng(6).uniform(0.3, 0.8, (COUNT, 3))
    found = segment_box(a, half)
    inside = found.d < -1e-3
    assert inside.sum() > 50
    directions = np.random.default_rng(7).normal(size=(20000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    reach = np.abs(directions) @ half.T  # (D, N): of the box
    lowest = np.minimum(directions @ a[:, 0].T, directions @ a[:, 1].T)
    overlap = (reach - lowest).min(axis=0)
    assert (-found.d[inside] <= overlap[inside] + 1e-9).all()
    assert np.abs(overlap + found.d)[inside].max() < 0.05
    out = a + ((1e-9 - found.d)[:, None] * found.n)[:, None]  # moved that far, they touch from outside
    assert (segment_box(out, half).d[inside] > 0.0).all()


@pytest.mark.parametrize(
    "between",
    (
        lambda a: segment_segment(a, segments(11)),
        lambda a: segment_box(a, np.full((COUNT, 3), 0.5)),
        lambda a: segment_plane(a, np.full((COUNT, 3), 3.0**-0.5), np.full(COUNT, 0.1)),
    ),
    ids=("segment", "box", "plane"),
)
def test_the_derivative_is_that_of_the_nearest_point(between):
    a, step, rng = segments(10), 1e-6, np.random.default_rng(12)
    shift, turn = rng.normal(size=3), rng.normal(size=3)

    def moved(sign):
        return a + sign * step * (shift + np.cross(turn, a))

    found = between(a)
    by_difference = (between(moved(1.0)).d - between(moved(-1.0)).d) / (2.0 * step)
    derivative = np.einsum("ij,ij->i", found.n, shift + np.cross(turn, found.p))
    unique = np.ones(COUNT, dtype=bool)
    unique[COUNT // 8 : COUNT // 4] = False  # along the edges of the box or another segment, many points are nearest
    assert np.abs(by_difference - derivative)[unique].max() < 1e-6
    assert np.allclose(np.linalg.norm(found.n, axis=1), 1.0)


def test_cases_known_by_hand():
    x = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    skew = np.array([[[0.5, -1.0, 0.3], [0.5, 1.0, 0.3]]])
    found = segment_segment(x, skew)
    assert found.d == pytest.approx([0.3])
    assert np.allclose(found.p, [[0.5, 0.0, 0.0]])
    assert np.allclose(found.n, [[0.0, 0.0, -1.0]])
    crossing = segment_segment(x, skew - [0.0, 0.0, 0.3])
    assert crossing.d == pytest.approx([0.0])
    assert np.allclose(np.abs(crossing.n), [[0.0, 0.0, 1.0]])
    plane = segment_plane(x + [0.0, 0.0, 0.2], np.array([[0.0, 0.0, 1.0]]), np.array([0.5]))
    assert plane.d == pytest.approx([-0.3])
    half = np.array([[0.2, 0.3, 0.4]])
    assert segment_box(np.array([[[1.2, 0.0, 0.0], [1.2, 0.0, 3.0]]]), half).d == pytest.approx([1.0])
    assert segment_box(np.array([[[0.5, 0.7, 5.0], [0.5, 0.7, -5.0]]]), half).d == pytest.approx([0.5])  # along an edge
    assert segment_box(np.array([[[0.15, 0.0, 0.0], [0.15, 0.0, 0.0]]]), half).d == pytest.approx([-0.05])
    through = segment_box(np.array([[[0.1, -9.0, 0.0], [0.1, 9.0, 0.0]]]), half)
    assert through.d == pytest.approx([-0.1])
    assert np.allclose(through.n, [[1.0, 0.0, 0.0]])
