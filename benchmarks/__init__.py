"""Side-by-side measurements of jaxnn and its peers: ``python -m benchmarks --help``."""
