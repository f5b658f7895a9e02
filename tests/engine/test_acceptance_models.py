"""The outcome models of the acceptance benchmark are what the recording says."""

from __future__ import annotations

import pytest

from benchmarks.acceptance import outcomes


def test_the_benchmarks_models_are_fitted_to_the_recording() -> None:
    found = outcomes.fit()
    if found is None:
        pytest.skip("the recording is not there (../shared)")

    assert found.beta == pytest.approx(outcomes.FITTED, abs=0.005)
    assert found.counts == outcomes.COUNTS
    assert found.change == pytest.approx(outcomes.CHANGE)
    assert found.spread == pytest.approx(outcomes.SPREAD, abs=1e-3)
    assert found.epoch_bound == pytest.approx(outcomes.EPOCH_BOUND, abs=1e-3)
