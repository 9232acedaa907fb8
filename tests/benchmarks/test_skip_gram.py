"""The row of skip-gram: both contenders do their laps on made-up text, which needs no data."""

import importlib.util
import warnings

import pytest

from benchmarks.skip_gram import ROW


class Enough(Exception):
    pass


@pytest.mark.parametrize("contender", ["jaxnn", "gensim (2 workers)"])
def test_contenders_do_laps(contender: str) -> None:
    if "gensim" in contender:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if importlib.util.find_spec("gensim") is None:
                pytest.skip("gensim is not installed")
            importlib.import_module("gensim.models")
    results = []

    def laps(result: float) -> None:
        results.append(result)
        if len(results) == 2:
            raise Enough

    with pytest.raises(Enough):
        ROW.contender(contender).drive(ROW.sizes["tiny"], laps)
    assert all(0 < result < 1 for result in results)
    assert results[0] != results[1]


def test_the_unit_is_seconds_for_a_million_words() -> None:
    work = ROW.sizes["tiny"]
    assert 1e6 / ROW.per_lap(work) < work.epochs * 200 * 20
