"""What is written about a measurement: a JSON file and a Markdown table."""

import datetime
import json
import os
import pathlib
import platform
import statistics
from typing import Any

from benchmarks._row import Row

# What running processes tell of themselves, and the heads of their columns.
USED = {"first": "first lap, s", "programs": "programs compiled", "peak_mib": "peak memory, MiB"}
RESULTS = pathlib.Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Describe the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "XLA_FLAGS") if name in os.environ}
    return {
        "cpu": _cpu(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **threads,
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
    except FileNotFoundError:
        return platform.processor()
    lines = {name.strip(): value.strip() for name, value in lines.items()}
    extensions = [name for name in ("avx2", "avx512f", "amx_tile") if name in lines.get("flags", "").split()]
    return f"{lines.get('model name', platform.processor())} ({', '.join(extensions)})"


def summarise(name: str, row: Row, size: str, raw: dict[str, dict[str, Any]], data: str) -> dict[str, Any]:
    """Put medians, spreads, ratios and conditions together."""
    work = row.sizes[size]
    factor = row.per_lap(work)
    contenders: dict[str, dict[str, Any]] = {}
    for label, found in raw.items():
        laps = [factor * seconds for seconds in found.get("laps", [])]
        contenders[label] = {k: v for k, v in found.items() if k != "laps"}
        if laps:
            contenders[label] |= {
                "median": statistics.median(laps),
                "low": min(laps),
                "high": max(laps),
                "laps": laps,
            }
    summary = {
        "row": name,
        "title": row.title,
        "unit": row.unit,
        "size": size,
        "data": data,
        "note": row.note,
        "floor": row.floor,
        "environment": environment(),
        "contenders": contenders,
    }
    floor = contenders.get(row.floor or "", {})
    if row.flops is not None and "median" in floor:
        summary["ceiling_gflops"] = row.flops(work) * factor / floor["median"] / 1e9
    return summary


def save(summary: dict[str, Any], folder: pathlib.Path) -> pathlib.Path:
    """Write ``<folder>/<row>.json`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{summary['row']}.json"
    path.write_text(json.dumps(summary, indent=1) + "\n")
    return path


def table(summary: dict[str, Any]) -> str:
    """Return the Markdown of one row."""
    measured = {label: one for label, one in summary["contenders"].items() if "median" in one}
    floor = summary["floor"] if summary["floor"] in measured else None
    head = ["", summary["unit"], "lowest to highest"]
    head += ["times the floor"] if floor else []
    compared = any(label.startswith("jaxnn") for label in measured)
    head += ["jaxnn is faster by"] if compared else []
    used = {name: text for name, text in USED.items() if any(name in one for one in measured.values())}
    head += used.values()
    lines = [f"### {summary['title']}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for label, one in measured.items():
        cells = [label, f"{one['median']:.3g}", f"{one['low']:.3g} to {one['high']:.3g}"]
        if floor:
            cells.append(f"{one['median'] / measured[floor]['median']:.2f}")
        ours = measured.get(_ours(label, measured))
        peer = label != floor and not label.startswith("jaxnn")
        if compared:
            cells.append(f"{one['median'] / ours['median']:.2f}" if peer and ours else "")
        cells += [f"{one[name]:.3g}" if name == "first" else str(one.get(name, "")) for name in used]
        lines.append(f"| {' | '.join(cells)} |")
    skipped = [
        f"{label} ({one['absent']})" for label, one in summary["contenders"].items() if "absent" in one
    ]
    lines += ["", _conditions(summary, measured)]
    lines += [f"Not measured: {'; '.join(skipped)}."] if skipped else []
    return "\n".join(lines)


def _ours(label: str, measured: dict[str, Any]) -> str:
    """Return our contender of the same variant: ``"jaxnn, warm"`` for ``"Flax nnx, warm"``."""
    _, comma, variant = label.partition(", ")
    name = f"jaxnn{comma}{variant}"
    return name if name in measured else "jaxnn"


def _conditions(summary: dict[str, Any], measured: dict[str, Any]) -> str:
    machine = summary["environment"]
    versions: dict[str, str] = {}
    for one in measured.values():
        versions |= one.get("versions", {})
    laps = min((len(one["laps"]) for one in measured.values()), default=0)
    disturbed = sum(one.get("disturbed", 0) for one in measured.values())
    parts = [
        f"Medians of {laps} laps, taken in turn.",
        f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, {machine['date']};",
        ", ".join(f"{name} {number}" for name, number in sorted(versions.items())) + ".",
    ]
    if summary["data"]:
        parts.append(f"Data: {summary['data']}.")
    if "ceiling_gflops" in summary:
        parts.append(f"Matrix products alone ran at {summary['ceiling_gflops']:.0f} GFLOP/s.")
    if disturbed:
        parts.append(f"Other processes disturbed {disturbed} laps.")
    if summary["note"]:
        parts.append(summary["note"])
    return " ".join(parts)
