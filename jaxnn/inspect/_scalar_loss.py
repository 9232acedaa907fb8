"""What is differentiated: the loss of an objective as training reduces it, or a function of one's own."""

from collections.abc import Callable
from typing import Any

from jaxnn.core import check_key, check_train, describe


def scalar_loss(
    owner: str, objective: Any, state: Any, key: Any, train: bool
) -> Callable[..., tuple[Any, Any]]:
    """Return ``(params, batch, key) -> (loss, weight)``; the weight is the sum of the batch's.

    Args:
        owner: the function that messages name.
        objective: an ``Objective``, or a function ``(params, batch) -> scalar``, whose batches weigh 1.
        state: state of the objective, or ``None`` for none.
        key: random key, checked here.
        train: whether the objective runs as in training.

    Raises:
        TypeError: ``objective`` is neither; at use, the loss is not a scalar.
    """
    check_train(owner, train)
    if key is not None:
        check_key(owner, key)
    evaluate: Any = getattr(objective, "evaluate", None)
    is_objective = evaluate is not None
    if not is_objective and not callable(objective):
        raise TypeError(
            f"{owner}: expected an Objective or a function (params, batch) -> scalar, "
            f"got {describe(objective)}; train.supervised(model, loss) makes one"
        )

    def loss(params: Any, batch: Any, key: Any) -> tuple[Any, Any]:
        if not is_objective:
            value: Any = objective(params, batch)
            if not hasattr(value, "shape") or value.shape != ():
                raise TypeError(f"{owner}: the loss must be a scalar, got {describe(value)}; take its mean")
            return value, value * 0 + 1
        from jaxnn.train._objective import checked_terms, reduce_terms

        terms, _ = evaluate(params, state or {}, batch, key=key, train=train)
        mean = reduce_terms(checked_terms(terms))
        return mean.compute(), mean.weight

    return loss
