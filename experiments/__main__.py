"""``python -m experiments``."""

import sys

from experiments.runner.main import main

if __name__ == "__main__":
    sys.exit(main())
