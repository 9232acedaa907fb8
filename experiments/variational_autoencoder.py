"""A variational autoencoder on MNIST: it compresses digits to noisy codes, and makes new ones from noise.

The encoder gives each picture a cloud of codes, a normal distribution of its own; the decoder makes a picture
from a point of the cloud. Trained is a lower bound of the log likelihood of the pictures (evidence lower
bound, ELBO): how well the picture is made again, minus how far the clouds are from one common cloud, from
which new pictures are drawn in the end (Kingma and Welling, "Auto-encoding variational Bayes", 2014). A
second one with a code of two numbers shows its whole space of codes as a map.

Pictures are made black and white by a coin for each pixel: anew in every step of training, once and for all
for the test. The bound is estimated with one sample for each test picture.

Run:     python -m experiments variational_autoencoder
Expect:  ELBO of at least -105 nats on the binarised test pictures
Time:    about 3 minutes on two cores
Course:  Recurrent, convolutional and embedding networks - autoencoders
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data import load_mnist
from experiments.plots.gallery import gallery
from experiments.plots.lines import lines
from experiments.plots.scatter import scatter
from experiments.runner.config import TrainingConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.runner.schedule import half_cosine
from jaxnn import losses, metrics, optim, train
from jaxnn.train import Terms

PIXELS = 784


@dataclass(frozen=True)
class Config(TrainingConfig):
    """Encoder and decoder with one hidden layer each."""

    epochs: int = 25
    """Passes over the pictures; the small one for the map has a third of them."""
    learning_rate: float = 2e-3
    """Step size of Adam at the beginning; it falls to 0 along a half cosine."""
    batch_size: int = 200
    """Pictures in a step."""
    latent: int = 20
    """Numbers in a code."""
    hidden: int = 400
    """Units of the hidden layer of the encoder, and of the decoder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("latent", self.latent, least=1)
        check_whole("hidden", self.hidden, least=1)


def encoder(config: Config, latent: int) -> nn.Layer:
    """``[batch, 784] -> mean and log variance [batch, latent]`` of the codes."""
    return nn.chain(
        nn.dense(config.hidden), jax.nn.relu, nn.branch(mean=nn.dense(latent), log_var=nn.dense(latent))
    )


def decoder(config: Config) -> nn.Layer:
    """``[batch, latent] -> [batch, 784]``, logits of black pixels."""
    return nn.chain(nn.dense(config.hidden), jax.nn.relu, nn.dense(PIXELS))


def binarised(key: Any, grey: Any) -> Any:
    """Black (1) or white (0) by a coin for each pixel, black with the probability of its grey."""
    return (jax.random.uniform(key, grey.shape) < grey).astype(grey.dtype)


def bound(pictures: Any, logits: Any, mean: Any, log_var: Any) -> tuple[Any, Any]:
    """The two parts of ``-ELBO`` for each picture (nats): of making it again, and of the code."""
    again = losses.binary_cross_entropy(logits, pictures, reduce="sum")
    return again, losses.kl_standard_normal(mean, log_var)


def objective(config: Config, latent: int) -> train.Objective:
    """``-ELBO`` of grey pictures ``[batch, 784]``, binarised anew, with one sample of each code (nats).

    Without a key the draws are the same on every call.
    """
    into, out = encoder(config, latent), decoder(config)

    def init(key: Any, grey: Any) -> tuple[Any, Any]:
        first, second = jax.random.split(key)
        code = jax.ShapeDtypeStruct((1, latent), jnp.float32)
        spec = jax.ShapeDtypeStruct(grey.shape, grey.dtype)
        return {"encoder": into.init(first, spec)[0], "decoder": out.init(second, code)[0]}, {}

    def evaluate(params: Any, state: Any, grey: Any, *, key: Any = None, train: bool = False) -> Any:
        coins, noise = jax.random.split(jax.random.key(0) if key is None else key)
        pictures = binarised(coins, grey)
        (mean, log_var), _ = into.apply(params["encoder"], {}, pictures, train=train)
        code = mean + jnp.exp(log_var / 2) * jax.random.normal(noise, mean.shape)
        again, divergence = bound(
            pictures, out.apply(params["decoder"], {}, code, train=train)[0], mean, log_var
        )
        told = {"again": metrics.Mean.of(again), "divergence": metrics.Mean.of(divergence)}
        return Terms(again + divergence, None, told), state

    return train.Objective(init, evaluate)


def make_train(config: Config, latent: int, epochs: int) -> Callable[..., train.Result]:
    """Build ``train(key, grey pictures [examples, 784], callbacks=()) -> Result``."""

    def run(key: Any, x: np.ndarray, callbacks: tuple[Callable[..., None], ...] = ()) -> train.Result:
        steps = epochs * -(-len(x) // config.batch_size)
        rule = optim.adam(half_cosine(config.learning_rate, steps))
        return train.fit(
            objective(config, latent), rule, x, epochs=epochs, batch_size=config.batch_size, key=key,
            callbacks=callbacks, progress=False,
        )  # fmt: skip

    return run


def bound_of(config: Config, latent: int, params: Any, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """ELBO of each binarised picture with one sample of its code, the same on every call (nats)."""
    into, out = encoder(config, latent), decoder(config)

    @jax.jit
    def each(key: Any, x: Any) -> Any:
        (mean, log_var), _ = into.apply(params["encoder"], {}, x)
        code = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        again, divergence = bound(x, out.apply(params["decoder"], {}, code)[0], mean, log_var)
        return -(again + divergence)

    keys = jax.random.split(jax.random.key(seed), -(-len(pictures) // 1000))
    parts = [each(key, pictures[1000 * i : 1000 * i + 1000]) for i, key in enumerate(keys)]
    return np.concatenate([np.asarray(part) for part in parts])


def generate(config: Config, params: Any, codes: Any) -> np.ndarray:
    """Pictures ``[codes, 28, 28]``, each pixel the probability of black."""
    logits, _ = decoder(config).apply(params["decoder"], {}, jnp.asarray(codes, jnp.float32))
    return np.asarray(jax.nn.sigmoid(logits)).reshape(-1, 28, 28)


def run(config: Config, page: Page) -> None:
    """Train with the full code and with two numbers, test, and draw."""
    data = load_mnist()
    if config.quick:
        data, config = data.head(1000, 200), replace(config, epochs=1)
    x, x_test = (part.reshape(len(part), -1) for part in (data.x, data.x_test))
    # The test pictures are binarised once, and by a seed that no option changes.
    fixed = np.asarray(binarised(jax.random.key(2014), jnp.asarray(x_test)))
    key = jax.random.key(config.seed)
    history: list[dict[str, Any]] = []

    def tell(record: dict[str, Any], state: Any) -> None:
        tested = bound_of(config, config.latent, state.params, fixed).mean()
        record = {**record, "test_elbo": float(tested)}
        history.append(record)
        page.folder.append_metrics(record)

    trained = make_train(config, config.latent, config.epochs)(key, x, (tell,))
    page.folder.save_weights(trained.params, {})
    bounds = bound_of(config, config.latent, trained.params, fixed)
    page.compare(
        "ELBO on the binarised test pictures, one sample each (nats)", bounds.mean(), ">= -105",
        source="goal; higher is better",
    )  # fmt: skip
    page.compare("standard error of that mean (nats)", bounds.std(ddof=1) / len(bounds) ** 0.5)
    page.compare("of it, divergence of the codes from the standard normal (nats)", history[-1]["divergence"])
    zero = losses.kl_standard_normal(jnp.zeros(1), jnp.zeros(1))
    page.compare("divergence of N(0, 1) from N(0, 1)", zero, 0, source="derived")
    _curves(page, history)
    _samples(page, config, trained.params, fixed)
    flat = make_train(replace(config, learning_rate=1e-3), 2, max(1, config.epochs // 3))(key, x)
    _map(page, config, trained.params, flat.params, fixed, data.y_test)


def _curves(page: Page, history: list[dict[str, Any]]) -> None:
    epochs = [record["epoch"] for record in history]
    panels = [
        (
            "Evidence lower bound (nats)",
            {
                "training": (epochs, [-record["loss"] for record in history]),
                "test, fixed pictures": (epochs, [record["test_elbo"] for record in history]),
            },
        ),
        (
            "Its two parts in training (nats)",
            {
                "making the picture again": (epochs, [record["again"] for record in history]),
                "divergence of the codes": (epochs, [record["divergence"] for record in history]),
            },
        ),
    ]
    lines(page.picture("bound.png"), "Learning to compress and to make", panels, x="epoch")
    page.show(
        "The bound",
        "The bound is the negative sum of two costs. Sharp clouds make a picture come out right, but cost "
        "divergence: the nats that a code tells about its picture. Training finds the balance. (The "
        "training curve is the mean over an epoch, while the network still got better, so it lies below the "
        "test curve.)",
        "bound.png",
    )


def _samples(page: Page, config: Config, params: Any, fixed: np.ndarray) -> None:
    codes = jax.random.normal(jax.random.key(config.seed + 1), (50, config.latent))
    made = generate(config, params, codes)
    rows = {f"{10 * row + 1} to {10 * row + 10}": made[10 * row : 10 * row + 10] for row in range(5)}
    gallery(page.picture("samples.png"), "Digits that nobody wrote", rows)
    page.show(
        "Made from noise",
        "Codes drawn from the standard normal, decoded. Grey is doubt of the decoder, which draws each pixel "
        "for itself; most are digits, some are between two.",
        "samples.png",
    )
    (mean, _), _ = encoder(config, config.latent).apply(params["encoder"], {}, jnp.asarray(fixed[:10]))
    walk = np.linspace(0, 1, 10)[:, None] * (np.asarray(mean[1]) - np.asarray(mean[0])) + np.asarray(mean[0])
    rows = {
        "test picture": fixed[:10].reshape(-1, 28, 28),
        "made again": generate(config, params, mean),
        "from the first to the second": generate(config, params, walk),
    }
    gallery(page.picture("again.png"), "Made again, and one digit turning into another", rows)
    page.show(
        "Through the bottleneck and back",
        f"Ten binarised test pictures, what is left of them in {config.latent} numbers, and pictures of the "
        "codes on the straight way from the first to the second: neighbouring codes mean similar pictures.",
        "again.png",
    )


def _map(page: Page, config: Config, params: Any, flat: Any, fixed: np.ndarray, labels: np.ndarray) -> None:
    count = min(5000, len(fixed))
    shown = jnp.asarray(fixed[:count])
    two = np.asarray(encoder(config, 2).apply(flat["encoder"], {}, shown)[0][0])
    full = np.asarray(encoder(config, config.latent).apply(params["encoder"], {}, shown)[0][0])
    full = full - full.mean(axis=0)
    projected = full @ np.linalg.svd(full, full_matrices=False)[2][:2].T
    panels = {
        "code of two numbers": two,
        f"code of {config.latent}: its two widest directions": projected,
    }
    scatter(page.picture("latent.png"), "Codes of test pictures", panels, labels[:count])
    page.show(
        "The map of codes",
        "Nobody told the network the classes; pictures of one digit lie together because they look alike. "
        f"With {config.latent} numbers the classes are further apart than any two directions can show.",
        "latent.png",
    )
    steps = np.asarray(jax.scipy.stats.norm.ppf(np.linspace(0.03, 0.97, 15)))
    codes = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    made = generate(config, flat, codes).reshape(15, 15, 28, 28)
    rows = {f"{steps[::-1][row]:+.1f}": made[row] for row in range(15)}
    gallery(
        page.picture("plane.png"), "What the decoder makes of each place on the map", rows,
        tuple(f"{step:+.1f}" for step in steps), scale=0.42,
    )  # fmt: skip
    page.show(
        "The plane of codes, decoded",
        "The code of two numbers, at places between which a standard normal has equal probability. Every "
        "place means a picture, and the digits pass into each other without a seam.",
        "plane.png",
    )


EXPERIMENT = Experiment("variational_autoencoder", "A variational autoencoder", Config, run)
