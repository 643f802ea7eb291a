"""What a longer history buys is read off the same rows, and never believed beyond reason."""

import numpy as np
import pytest

from training.learning import STEEPEST, Learning

ROWS = [1000, 1500, 2000, 3000, 4500]


def _errors(exponent: float, level: list[float], noise: float = 0.0, seed: int = 0) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [
        [level[i] * ROWS[j] ** exponent * np.exp(noise * rng.normal()) for j in range(i + 1)]
        for i in range(4)
    ]


@pytest.mark.parametrize("exponent", [-0.2, -0.1, 0.0])
def test_the_exponent_is_found_whatever_the_blocks_own_level(exponent: float) -> None:
    found = Learning(ROWS, _errors(exponent, [1.0, 3.0, 0.5, 2.0]))
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    np.testing.assert_allclose(found.factors, (4500 / np.array(ROWS[:-1])) ** exponent)


def test_a_calm_last_block_alone_is_not_taken_for_learning() -> None:
    assert Learning(ROWS, _errors(0.0, [4.0, 3.0, 2.0, 1.0])).exponent == 0.0


@pytest.mark.parametrize(("exponent", "told"), [(0.3, 0.0), (-0.9, STEEPEST)])
def test_errors_never_grow_with_history_nor_fall_beyond_reason(exponent: float, told: float) -> None:
    assert Learning(ROWS, _errors(exponent, [1.0] * 4)).exponent == told


def test_one_block_tells_nothing() -> None:
    assert Learning([1000, 1500], [[2.0]]).factors.tolist() == [1.0]
