"""The distill scenario's page, from numbers made up for it."""

import numpy as np

from mbrl_ros.controllers.policy_selection import Mode
from support.needs import needs, present

if present("mujoco", "matplotlib"):
    from mbrl_ros.demo import distill, distill_report

pytestmark = needs("mujoco", "matplotlib")


def trace(modes, versions, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (0.005 * k, version, int(mode), float("nan") if k < 20 else 0.1 + 0.05 * rng.random(), rng.standard_normal(7))
        for k, (mode, version) in enumerate(zip(modes, versions, strict=True))
    ]


def test_the_page_shows_errors_disagreement_and_an_event(tmp_path):
    exam = {
        "targets": 3,
        "payload_kg": 0.0,
        "errors_mm": [0.4, 12.0, None],
        "outside_limits": 0,
        "max_speed_fraction": 0.5,
    }
    summary = {
        "distill": {
            "seed": 3,
            "teaching_s": 180.0,
            "success_1cm": 0.3,
            "success_2cm": 0.7,
            "payload_success_1cm": 0.3,
            "decision_us": 9.0,
            "payload_success_2cm": 0.7,
            "fallback_rate": 1.0,
            "false_fallbacks": 0,
            "unloaded": exam,
            "loaded": {**exam, "payload_kg": 1.5},
            "events": {"events": 5, "largest_delay_s": 0.01, "largest_step": 0.02},
            "teaching": {"targets": 90, "wall_s": 60.0},
        }
    }
    traces = {
        "teaching": trace([Mode.TEACH] * 900, np.repeat([0, 1, 2], 300)),
        "event": trace(np.repeat([Mode.SHADOW, Mode.ACT, Mode.FALLBACK], 300), [2] * 900),
    }
    path = distill_report.write(tmp_path / "out", summary, traces)
    page = path.read_text(encoding="utf-8")
    assert page.count("<img") == 3 and "seed 3" in page
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "errors.png",
        "event.png",
        "report.html",
        "summary.json",
        "teaching.png",
    ]
    assert "70% within 2 cm" in distill.text(summary)
