"""``python -m jaxnn.interop diff A B``: which leaves of two safetensors files differ, and how far."""

import argparse
import sys

from jaxnn.interop import load_safetensors
from jaxnn.surgery import difference


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if the files hold equal weights, 1 if not, 2 if one can't be read."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxnn.interop", description="Tools for files of weights."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    diff = commands.add_parser("diff", help="compare two safetensors files leaf by leaf")
    diff.add_argument("a", help="a safetensors file")
    diff.add_argument("b", help="another one")
    options = parser.parse_args(arguments)
    try:
        found = difference(load_safetensors(options.a), load_safetensors(options.b))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(found)
    return 0 if found.equal else 1


if __name__ == "__main__":
    sys.exit(main())
