"""``python -m jaxnn``: what is installed, and which known faults of jaxlib are met here.

python -m jaxnn                     versions, devices and the table of faults
python -m jaxnn faults --markdown   the table alone, as docs/known_faults.md has it
"""

import argparse
import os
import platform
import sys
import textwrap
from importlib.metadata import PackageNotFoundError, version

import jax

from jaxnn.core import FAULTS, Fault, known_faults

PACKAGES = ("jaxnn", "jax", "jaxlib", "flax", "optax", "numpy")
COLUMNS = 80


def environment() -> str:
    """Versions, devices and system, a line each."""
    devices = jax.devices()
    rows = [("python", platform.python_version())]
    rows += [(name, _version(name)) for name in PACKAGES]
    rows += [("devices", f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})")]
    rows += [("system", f"{platform.system()} {platform.machine()}")]
    return "\n".join(f"{name:8} {value}" for name, value in rows)


def faults() -> str:
    """The table of known faults, those that are met here marked."""
    here = known_faults()
    count = "none is" if not here else f"{len(here)} {'is' if len(here) == 1 else 'are'}"
    head = f"Known faults of jaxlib: {count} met by jaxlib {_version('jaxlib')} on {jax.default_backend()}"
    return "\n\n".join([textwrap.fill(head, COLUMNS), *(_entry(fault, fault in here) for fault in FAULTS)])


def _entry(fault: Fault, here: bool) -> str:
    mark = "[HERE]" if here else "[    ]"
    lines = [f"{mark} {fault.name}: jaxlib {fault.releases}, {fault.platform}"]
    for label, text in (("what", fault.wrong), ("jaxnn", fault.ours), ("you", fault.remedy)):
        lines += textwrap.wrap(
            text,
            COLUMNS,
            initial_indent=f"       {label:6} ",
            subsequent_indent=" " * 14,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def markdown() -> str:
    """The table of known faults, for the page that documents it."""
    head = [
        "| fault | jaxlib | platform | what goes wrong | what jaxnn does | what to do |",
        "|" + "---|" * 6,
    ]
    rows = [
        f"| `{f.name}` | {f.releases} | {f.platform} | {f.wrong} | {f.ours} | {f.remedy} |" for f in FAULTS
    ]
    return "\n".join(head + rows)


def main(arguments: list[str] | None = None) -> int:
    """Print what is asked for and return 0."""
    parser = argparse.ArgumentParser(prog="python -m jaxnn", description="What is installed and how it does.")
    commands = parser.add_subparsers(dest="command", metavar="{faults}")
    table = commands.add_parser("faults", help="the known faults of jaxlib, those that are met here marked")
    table.add_argument("--markdown", action="store_true", help="as a table of docs/known_faults.md")
    options = parser.parse_args(arguments)
    if options.command is None:
        print(environment(), faults(), sep="\n\n")
    else:
        print(markdown() if options.markdown else faults())
    return 0


def _run() -> int:
    """``main``, and silence where the reader of the output has left, as ``head`` does."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(_run())
