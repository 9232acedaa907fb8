"""``python -m experiments predict RUN picture.png``: a trained network reads a person's own drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.runner import catalogue
from experiments.runner.classifier import Classifier
from experiments.runner.command_line import parse
from experiments.runner.config import TrainingConfig
from experiments.runner.environment import enable_compilation_cache
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import UsageError


@dataclass(frozen=True)
class Prediction:
    """What a network made of a drawing: the grey original, what it saw, a probability for each class."""

    grey: np.ndarray
    seen: np.ndarray
    probabilities: np.ndarray


def command(args: Sequence[str]) -> int:
    """Print the class with the probabilities, and write a picture of what the network saw."""
    from typing import Annotated

    from tyro.conf import Positional, arg

    @dataclass(frozen=True)
    class Command:
        run: Annotated[Positional[Path], arg(metavar="RUN")]
        """The folder of a finished run, such as runs/mnist_cnn/first."""
        picture: Annotated[Positional[Path], arg(metavar="PICTURE")]
        """The drawing: any size, colour or grey, dark on light or light on dark."""
        output: Path | None = None
        """Where to write what the network saw. Default: a new file in the run folder."""
        debug: bool = False
        """Show the traceback of an error."""

    chosen = parse(Command, args, "predict", __doc__ or "")
    folder = RunFolder(chosen.run)
    experiment, config = read_run(folder)
    prediction = predict(experiment, config, folder, chosen.picture)
    output = chosen.output or _free(folder.path, f"predict-{chosen.picture.stem}")
    _show(prediction, chosen.picture.name, output)
    return 0


def read_run(folder: RunFolder) -> tuple[Classifier, TrainingConfig]:
    """The experiment and the configuration of a run, from its ``config.json``.

    Raises:
        UsageError: there is no run there, or it is one of an experiment that does not sort pictures.
        ValueError: the configuration is not one that this version knows.
    """
    if not (folder.path / "config.json").is_file():
        raise UsageError(f"{folder.path}: no run folder (it has no config.json){_others(folder.path)}")
    recorded = folder.read_json("config.json")
    name = recorded.get("experiment")
    if name not in catalogue.names():
        raise UsageError(f"{folder.path}: a run of {name!r}, which is no experiment of this version")
    experiment = catalogue.experiment(name)
    if not isinstance(experiment, Classifier):
        raise UsageError(
            f"{folder.path}: a run of {name!r}, which does not classify pictures; give a run of one that does"
        )
    try:
        return experiment, experiment.config(**recorded["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder.path / 'config.json'}: not a configuration of {name} ({error})") from error


def predict(experiment: Classifier, config: TrainingConfig, folder: RunFolder, picture: Path) -> Prediction:
    """Rebuild the model of a run and classify one drawing.

    Raises:
        ValueError: the picture cannot be read or is blank, or the weights are not those of the model.
        FileNotFoundError: there is no such picture, or the run was never trained.
    """
    from experiments.drawings import find_ink, read_grey

    grey = read_grey(picture)
    try:
        seen = experiment.see(find_ink(grey))
    except ValueError as error:
        raise ValueError(f"{picture}: {error}") from error

    import jax

    from jaxnn import train

    enable_compilation_cache()
    params, state = folder.load_weights()
    model = experiment.build(config)
    _check_weights(model.init, (params, state), seen, folder)
    logits = train.predict(model, params, state, seen[None])
    return Prediction(grey, seen, np.asarray(jax.nn.softmax(logits))[0])


def _check_weights(init, found, seen: np.ndarray, folder: RunFolder) -> None:
    """Compare the saved trees with those that the model would make, by name and shape."""
    import jax

    spec = jax.ShapeDtypeStruct((1, *seen.shape), seen.dtype)
    expected = jax.eval_shape(lambda: init(jax.random.key(0), spec))
    if (a := _shapes(expected)) != (b := _shapes(found)):
        differing = sorted({name for name, _ in a ^ b})
        raise ValueError(
            f"{folder.path}: the saved weights are not those of the model in config.json; they differ in "
            f"{', '.join(differing)}. Train again"
        )


def _shapes(trees) -> set[tuple[str, tuple[int, ...]]]:
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(trees)
    return {(jax.tree_util.keystr(path[1:], simple=True, separator="."), leaf.shape) for path, leaf in leaves}


def _others(path: Path) -> str:
    """Runs that are there, to choose from."""
    for runs in (path, path.parent, Path("runs")):
        found = sorted(
            file.parent for pattern in ("*", "*/*") for file in runs.glob(f"{pattern}/config.json")
        )
        if found:
            return "; there are " + ", ".join(map(str, found[-3:]))
    return "; train one with python -m experiments digits"


def _free(folder: Path, stem: str) -> Path:
    """A name that no file has yet."""
    names = (f"{stem}{suffix}.png" for suffix in ("", *(f"-{number}" for number in range(2, 10_000))))
    return next(folder / name for name in names if not (folder / name).exists())


def _show(prediction: Prediction, name: str, output: Path) -> None:
    from experiments import plots

    probabilities = prediction.probabilities
    order = np.argsort(-probabilities, kind="stable")
    print(f"{name}: this is a {order[0]} (probability {probabilities[order[0]]:.1%})")
    print("  ".join(f"{number} {probabilities[number]:.1%}" for number in order))
    plots.drawing(output, name, prediction.grey, prediction.seen, probabilities)
    print(f"what the network saw: {output}")
