"""Every example of the page on carrying weights across runs as it is printed."""

import doctest
from pathlib import Path

import jax
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "carry_across.md"


def test_the_page_runs_as_printed():
    pytest.importorskip("flatbuffers")
    text = PAGE.read_text(encoding="utf-8").replace("```", "")
    try:
        import torch

        del torch
    except ImportError:
        # Without PyTorch its section is left out; nothing after it needs what it defines.
        before, rest = text.split("## From PyTorch")
        text = before + rest[rest.index("## From Flax") :]
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report: list[str] = []
    # A reader's JAX promotes types as it does by default, and so does Flax.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        result = runner.run(examples, out=report.append)
    assert result.failed == 0, "".join(report)
    assert result.attempted > 35
