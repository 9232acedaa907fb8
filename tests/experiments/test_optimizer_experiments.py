"""Update rules step by step and racing: the courses' sequences, and the plotted ways."""

import numpy as np
import pytest

from experiments import optimizer_race, optimizer_steps
from experiments.surfaces import RULES, SURFACES
from jaxnn import optim


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (lambda: optimizer_steps.walk(optim.momentum(0.1), 4), (1, 0.9, 0.72, 0.486, 0.2268)),
        (
            lambda: optimizer_steps.look_back(optimizer_steps.walk(optim.nesterov(0.1), 4)),
            (1, 0.9, 0.729, 0.51759, 0.2945889),
        ),
    ],
    ids=["momentum", "nesterov"],
)
def test_momentum_and_nesterov(path, expected) -> None:
    """Multi-layer networks and optimisation: theta on theta^2 / 2, rate 0.1, momentum 0.9."""
    np.testing.assert_allclose(path(), expected, atol=1e-12)


def test_first_steps() -> None:
    """Multi-layer networks and optimisation: the first step for a gradient of one, in rates."""
    assert optimizer_steps.first_step(optim.adadelta, form="keras", eps=1e-7) == pytest.approx(
        0.0014142, abs=1e-7
    )
    assert optimizer_steps.first_step(optim.rmsprop, decay=0.9) == pytest.approx(10**0.5, abs=1e-5)
    assert optimizer_steps.first_step(optim.adam) == pytest.approx(1, abs=1e-6)


def test_every_rule_races() -> None:
    assert len(RULES) == 20
    assert {"sgd", "adam", "muon", "rprop"} <= set(RULES)


def test_a_race_of_eight() -> None:
    config = optimizer_race.Config(quick=True, steps=60, rates=9)
    found = optimizer_race.ways(config)
    for name, rules in found.items():
        surface = SURFACES[name]
        assert set(rules) == set(optimizer_race.SHOWN)
        for way in rules.values():
            assert way.points.shape == (61, 2)
            np.testing.assert_allclose(way.points[0], surface.start, rtol=1e-6)
            np.testing.assert_allclose(way.values[-1], surface.value(way.points[-1]), rtol=1e-4, atol=1e-6)
            assert way.values[-1] < way.values[0]
    # Memory of the direction pays in the ravine; a rate for each parameter pays at the saddle.
    ravine, saddle = found["ravine"], found["saddle"]
    assert ravine["momentum"].values[-1] < ravine["sgd"].values[-1]
    assert ravine["nesterov"].values[-1] < ravine["sgd"].values[-1]
    assert abs(saddle["adagrad"].points[3, 1]) > 10 * abs(saddle["sgd"].points[3, 1])
