"""The harness runs contenders in processes of their own, interleaves them and reports what it found."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks._document import BEGIN, END, write_document
from benchmarks._report import table


def _summary(contenders, **more):
    environment = {"cpu": "c", "cores": 2, "python": "3", "date": "2026-01-01"}
    return {
        **{"row": "r", "title": "Title", "unit": "ms", "data": "", "note": "", "floor": None},
        **{"environment": environment, "contenders": contenders, **more},
    }


def _measured(*laps):
    middle = sorted(laps)[len(laps) // 2]
    return {"median": middle, "low": min(laps), "high": max(laps), "laps": list(laps), "versions": {"p": "1"}}


def test_a_row_is_measured_in_processes_and_saved(tmp_path, capsys):
    some = ["--only", "jaxnn", "--only", "NumPy, gradient by hand"]
    assert main(["iris", "--size", "tiny", "--rounds", "3", "--out", str(tmp_path), *some]) == 0
    saved = json.loads((tmp_path / "iris.json").read_text(encoding="utf-8"))
    assert list(saved["contenders"]) == ["jaxnn", "NumPy, gradient by hand"]
    for one in saved["contenders"].values():
        assert len(one["laps"]) == 3
        assert one["low"] <= one["median"] <= one["high"]
        assert 0 < one["result"] < 5
        assert one["versions"]
        assert one["peak_mib"] > 10
    assert saved["contenders"]["jaxnn"]["programs"] > 1
    assert "programs" not in saved["contenders"]["NumPy, gradient by hand"]
    printed = capsys.readouterr().out
    assert "| NumPy, gradient by hand |" in printed
    assert "| first lap, s | programs compiled | peak memory, MiB |" in printed
    assert str(tmp_path) in printed


def test_the_table_gives_ratios_to_ours_and_to_the_floor():
    contenders = {"jaxnn": _measured(2, 3, 4), "Peer": _measured(6), "floor": _measured(1.5)}
    text = table(_summary({**contenders, "Gone": {"absent": "gone is not installed"}}, floor="floor"))
    assert "| jaxnn | 3 | 2 to 4 | 2.00 |  |" in text
    assert "| Peer | 6 | 6 to 6 | 4.00 | 2.00 |" in text
    assert "| floor | 1.5 | 1.5 to 1.5 | 1.00 |  |" in text
    assert "Not measured: Gone (gone is not installed)." in text


def test_variants_are_compared_with_our_own_of_the_same_kind():
    text = table(
        _summary({"jaxnn, warm": _measured(1), "jaxnn, cold": _measured(4), "Peer, cold": _measured(6)})
    )
    assert "| Peer, cold | 6 | 6 to 6 | 1.50 |" in text


def test_unknown_rows_and_contenders_are_named(capsys):
    with pytest.raises(SystemExit):
        main(["mlp_epohc"])
    assert "unknown rows ['mlp_epohc']; choose from mlp_epoch" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["iris", "--only", "Theano"])
    assert "iris has no contender ['Theano']" in capsys.readouterr().err


def test_the_document_keeps_what_stands_around_the_marks(tmp_path, monkeypatch):
    page = tmp_path / "performance.md"
    monkeypatch.setattr("benchmarks._document.DOCUMENT", page)
    (tmp_path / "r.json").write_text(json.dumps(_summary({"jaxnn": _measured(1)})))
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_document(tmp_path, ["r", "not measured"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "### Title" in text
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_document(tmp_path, ["r"])


@pytest.mark.parametrize(
    "contender", ["Flax linen", "Flax nnx", "Equinox", "Haiku", "Keras on JAX", "PyTorch"]
)
@pytest.mark.slow
def test_every_peer_learns(contender, tmp_path):
    from benchmarks.mlp_epoch import ROW

    for package in ROW.contender(contender).packages:
        pytest.importorskip({"dm-haiku": "haiku"}.get(package, package), reason=f"{package} is not installed")
    assert (
        main(["mlp_epoch", "--size", "tiny", "--rounds", "2", "--out", str(tmp_path), "--only", contender])
        == 0
    )
    found = json.loads((tmp_path / "mlp_epoch.json").read_text(encoding="utf-8"))["contenders"][contender]
    assert found["result"] < 2.6
