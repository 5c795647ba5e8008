"""Files written by an earlier revision (e7a7822) stay readable, whatever names the code has now.

The files and the expected numbers come from that revision: a two-joint planar arm with seeded data. `newest.policy` and
`samples.memory` are checkpoints of distillation, `model.npz` one of the online dynamics.
"""

import numpy as np
import pytest

from mbrl_ros.config.sections.distillation import DistillationSettings
from mbrl_ros.config.sections.dynamics import DynamicsSettings
from mbrl_ros.data.dataset import Dataset
from mbrl_ros.distillation.compiled_policy import CompiledPolicy
from mbrl_ros.distillation.policy import from_bytes, load
from mbrl_ros.distillation.trainer import Trainer
from mbrl_ros.dynamics import OnlineDynamics, checkpoint
from mbrl_ros.dynamics.priors import ensemble, global_linear, gmm, integrator
from support import ROOT
from support.robots import planar_robot

FILES = ROOT / "test" / "data" / "earlier"
X, U = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, 2.0])


def test_a_policy_gives_the_commands_it_gave():
    policy, robot = load(FILES / "newest.policy"), planar_robot()
    student = CompiledPolicy(policy, robot)
    student.set_target(np.array([0.3, 0.0, 0.4]))
    u = student.act(np.array([0.1, -0.2]), np.array([0.05, 0.0]), np.array([0.2, 0.1]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(u, [1.5659670397832015, 1.9968585625783635], rtol=1e-9)
    scores = {"state": 0.24237951459827436, "target": 0.12177876313648607, "spread": 0.08250248714324059}
    assert student.scores == pytest.approx(scores, rel=1e-9)
    again = from_bytes(policy.to_bytes())  # written now, read now
    assert again.about == policy.about and np.array_equal(again.theta, policy.theta)


def test_a_checkpoint_of_distillation_is_resumed(tmp_path):
    for name in ("newest.policy", "samples.memory"):
        (tmp_path / name).write_bytes((FILES / name).read_bytes())
    settings = DistillationSettings(goal_units=3, gain_units=2, members=1, capacity=100)
    trainer = Trainer(planar_robot(), settings, tmp_path)
    assert not trainer.refused and trainer.version == 1
    assert trainer.memory.count == trainer.memory.offered == 8
    assert trainer.memory.samples().u.sum() == pytest.approx(0.31672325793665834, rel=1e-12)


def test_a_data_set_holds_what_it_held():
    data = Dataset.load(FILES / "dataset.npz")
    assert len(data) == 10 and data.runs == ("one run",) and data.owner.joints == ("joint1", "joint2")
    np.testing.assert_allclose(data.D, 0.01 * data.U - 0.005 * data.X[:, 2:], rtol=1e-12)  # that is how it was made


@pytest.mark.parametrize(
    "module, mean",
    [
        (global_linear, [0.008499999999743801, 0.017999999999356982]),
        (gmm, [0.008426591927210686, 0.017877698078109835]),
        (ensemble, [-0.0009895102865681155, 0.002833403083578061]),
    ],
)
def test_a_fitted_prior_predicts_what_it_predicted(module, mean):
    kind = module.__name__.rpartition(".")[2]
    prior = module.build(module.Settings(file=str(FILES / f"{kind}.npz")), planar_robot(), 0.01)
    np.testing.assert_allclose(prior.mean(X, U), mean, rtol=1e-7)


def test_a_model_predicts_what_it_predicted():
    robot = planar_robot()
    prior = integrator.build(integrator.Settings(), robot, 0.01)
    dynamics = OnlineDynamics(robot, 0.01, DynamicsSettings(), prior)
    checkpoint.load_model(FILES / "model.npz", dynamics, robot)
    expected = [0.10317181168164292, -0.19627788943061278, 0.3343623363285847, 0.3444221138774487]
    np.testing.assert_allclose(dynamics.fit(X, U).predict(X, U), expected, rtol=1e-7)
