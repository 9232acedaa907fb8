"""``python -m experiments translate RUN "Ein Hund rennt."``: a trained translator at work."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.runner import catalogue
from experiments.runner.command_line import parse
from experiments.runner.environment import enable_compilation_cache
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import UsageError


def command(args: Sequence[str]) -> int:
    """Print a translation for each sentence, or for each line of a file, in their order."""
    from typing import Annotated

    from tyro.conf import Positional, arg

    @dataclass(frozen=True)
    class Command:
        run: Annotated[Positional[Path], arg(metavar="RUN")]
        """The folder of a finished run, such as runs/translation/first."""
        sentences: Annotated[Positional[tuple[str, ...]], arg(metavar="SENTENCE")] = ()
        """German sentences, each in quotation marks."""
        file: Path | None = None
        """A file of German sentences, one a line; a blank line stays blank."""
        reference: Path | None = None
        """A person's translations, one a line: BLEU is printed on the error stream."""
        model: Literal["plain", "attention", "transformer"] | None = None
        """Which of the run's models. Default: that of the least validation loss."""
        beams: int | None = None
        """Beginnings that the search follows; 1 takes the most probable piece. Default: the run's."""
        debug: bool = False
        """Show the traceback of an error."""

    chosen = parse(Command, args, "translate", __doc__ or "")
    if bool(chosen.sentences) == (chosen.file is not None):
        raise UsageError(
            'translate: expected sentences or a file: translate RUN "Ein Hund rennt." or --file F'
        )
    if chosen.beams is not None and chosen.beams < 1:
        raise UsageError(f"--beams: expected a whole number of at least 1, got {chosen.beams}")
    sentences = list(chosen.sentences) if chosen.file is None else read_lines(chosen.file)
    references = None if chosen.reference is None else read_lines(chosen.reference)
    if references is not None and len(references) != len(sentences):
        raise UsageError(
            f"--reference: expected {len(sentences)} lines, one for each sentence, got {len(references)}"
        )
    folder = RunFolder(chosen.run)
    check_run(folder)
    enable_compilation_cache()
    from experiments.translation import load
    from experiments.translator.bleu import bleu

    translator, config = load(folder, chosen.model)
    translations = translator(sentences, chosen.beams or config.beams)
    print("\n".join(translations))
    if references is not None:
        score, signature = bleu(translations, references)
        print(f"BLEU {score:.2f} ({signature})", file=sys.stderr)
    return 0


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, without their ends.

    Raises:
        UsageError: it holds no line.
        ValueError: it is not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8 ({error})") from error
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        raise UsageError(f"{path}: it holds no line to translate")
    return lines


def check_run(folder: RunFolder) -> None:
    """Raise unless the folder holds a finished run of ``translation``.

    Raises:
        UsageError: it does not.
    """
    if not (folder.path / "config.json").is_file():
        raise UsageError(f"{folder.path}: no run folder (it has no config.json)")
    name = folder.read_json("config.json").get("experiment")
    if name != "translation" or name not in catalogue.names():
        raise UsageError(f"{folder.path}: a run of {name!r}; give a run of 'translation'")
    if not (folder.path / "params.safetensors").is_file():
        raise UsageError(f"{folder.path}: a run without weights; train again")
