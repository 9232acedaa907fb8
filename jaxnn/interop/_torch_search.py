"""Finding each leaf of a model of ours among the tensors of a state dict."""

from collections.abc import Callable
from typing import Any

from jaxnn.core import describe
from jaxnn.interop._leaves import without_leading
from jaxnn.interop._parts import Part
from jaxnn.interop._renames import Renames
from jaxnn.interop._torch_names import AfterFlatten, Tensor
from jaxnn.interop._torch_rules import Source, reads_features, torch_leaves
from jaxnn.interop._torch_tensors import MissingTensorError, TorchTensors


class TorchSearch:
    """The tensors, and what each layer is called there."""

    def __init__(self, tensors: TorchTensors, renames: Renames) -> None:
        self.tensors, self._renames = tensors, renames

    def find(self, part: Part, copy: tuple[int, ...]) -> dict[str, Any]:
        """Return each leaf of a part, or the error that says which tensor is missing.

        Args:
            part: of the model.
            copy: which copy is meant of a layer that ``repeat`` stacks.

        Raises:
            TypeError: a name is mapped to what is for something else.
            ValueError: tensors do not fit.
        """
        specs = {leaf: spec for leaf, (_, spec) in part.leaves.items()}
        found: dict[str, Any] = {}
        rest = []
        for leaf in specs:
            target = self._renames.exact(part.leaf_name(leaf), copy)
            if target is None:
                rest.append(leaf)
            else:
                found[leaf] = self._mapped(part.leaf_name(leaf), specs[leaf], target)
        if rest:
            found |= self._by_rule(part, specs, rest, self._renames.find(part.name, copy))
        return found

    def _mapped(self, path: str, spec: Any, target: Any) -> Any:
        if isinstance(target, AfterFlatten):
            raise TypeError(
                f"from_torch: {path}: AfterFlatten is for a whole layer; map the layer, or give a Tensor"
            )
        name, permute, index = target if isinstance(target, Tensor) else Tensor(target)

        def taken(fetch: Callable[[str], Any]) -> Any:
            value = fetch(name)
            value = value if index is None else value[index]
            return without_leading(value if permute is None else value.transpose(permute), len(spec.shape))

        return self._taken(path, spec, taken, index)

    def _by_rule(self, part: Part, specs: dict[str, Any], rest: list[str], target: Any) -> dict[str, Any]:
        path, kind = part.name or "the model", part.kind
        if isinstance(target, Tensor):
            raise TypeError(
                f"from_torch: {path}: a Tensor is for one leaf; map {part.leaf_name(rest[0])!r} to it"
            )
        if isinstance(target, AfterFlatten):
            _check_flattened(path, kind, target)
        found: dict[str, Any] = {}
        order = list(torch_leaves(kind, specs, Source(self.tensors.fetch, self.tensors.__contains__, target)))
        for leaf in sorted(rest, key=lambda leaf: order.index(leaf) if leaf in order else len(order)):

            def taken(fetch: Callable[[str], Any], leaf: str = leaf) -> Any:
                rules = torch_leaves(kind, specs, Source(fetch, self.tensors.__contains__, target))
                if leaf in rules:
                    return rules[leaf]()
                raise MissingTensorError(
                    f"no rule tells where a layer of kind {kind!r} finds {leaf}; map them one by one, as in "
                    f"{{{part.leaf_name(leaf)!r}: interop.Tensor('its.name')}}"
                )

            found[leaf] = self._taken(f"{path} ({kind})", specs[leaf], taken, None, part.leaf_name(leaf))
        return found

    def _taken(
        self,
        owner: str,
        spec: Any,
        take: Callable[[Callable[[str], Any]], Any],
        index: Any,
        path: str | None = None,
    ) -> Any:
        """Return one leaf, or the error that a tensor is missing; remember what was used if it was found."""
        fetched: dict[str, Any] = {}

        def fetch(name: str) -> Any:
            fetched[name] = self.tensors.fetch(name)
            return fetched[name]

        def unfit(got: str) -> ValueError:
            wanted = f"expected {describe(spec)}, got {got}"
            return ValueError(f"from_torch: {path or owner}: {wanted}; another module, or other sizes")

        try:
            value = take(fetch)
        except MissingTensorError as error:
            return MissingTensorError(f"from_torch: {owner}: {error}")
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            if not fetched:
                raise
            shown = ", ".join(f"{describe(tensor)} of {name}" for name, tensor in fetched.items())
            raise unfit(f"{shown} ({error})") from error
        if value.shape != spec.shape:
            raise unfit(describe(value))
        for name in fetched:
            self.tensors.use(name, index)
        return value


def _check_flattened(path: str, kind: str, target: AfterFlatten) -> None:
    shape = target.shape
    if not isinstance(shape, tuple | list) or not all(type(n) is int and n > 0 for n in shape):
        raise TypeError(
            f"from_torch: {path}: AfterFlatten needs the shape (channels, *space) of what was flattened, got "
            f"{shape!r}"
        )
    if not reads_features(kind):
        raise ValueError(
            f"from_torch: {path}: AfterFlatten tells nothing about a layer of kind {kind!r}, which has no "
            "weight for each feature of a flattened image; give the name alone, or map its leaves one by one"
        )
