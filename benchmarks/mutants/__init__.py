"""Realistic bugs beside the code that they break: what a testing kit is worth is what it catches."""

from benchmarks.mutants._gradients import GRADIENTS
from benchmarks.mutants._layers import LAYERS
from benchmarks.mutants._losses import LOSSES
from benchmarks.mutants._masks import MASKS
from benchmarks.mutants._mutant import Mutant as Mutant
from benchmarks.mutants._mutant import Patch as Patch
from benchmarks.mutants._normalisation import NORMALISATION
from benchmarks.mutants._optimizers import OPTIMIZERS
from benchmarks.mutants._random import RANDOM
from benchmarks.mutants._structure import STRUCTURE

MUTANTS: tuple[Mutant, ...] = (
    *GRADIENTS,
    *NORMALISATION,
    *LAYERS,
    *MASKS,
    *RANDOM,
    *STRUCTURE,
    *LOSSES,
    *OPTIMIZERS,
)
