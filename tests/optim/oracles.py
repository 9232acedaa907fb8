"""Update rules for one leaf in NumPy float64, each written from the source that its docstring names.

An oracle is called as ``oracle(t, g, p, s, rate, **hyper)``: the step counted from one, gradient, parameter,
a dict of slots that it changes, and the learning rate of this step. It returns what is added to the
parameter.
"""

import numpy as np


def slot(s, name, g, value=0.0):
    """Return a slot, which starts as ``value`` everywhere."""
    return s.setdefault(name, np.full(g.shape, value, np.float64))


def ratio(numerator, denominator):
    """Divide, with 0/0 = 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out = np.zeros(shape, np.result_type(numerator, denominator))
    return np.divide(numerator, denominator, out=out, where=np.asarray(denominator) != 0)


def sgd(t, g, p, s, rate):
    return -rate * g


def momentum(t, g, p, s, rate, momentum=0.9):
    """torch.optim.SGD and optax.trace: buf = momentum * buf + g; p -= lr * buf."""
    s["buf"] = momentum * slot(s, "buf", g) + g
    return -rate * s["buf"]


def nesterov_torch(t, g, p, s, rate, momentum=0.9):
    """torch.optim.SGD(nesterov=True) and optax.trace: p -= lr * (g + momentum * buf)."""
    s["buf"] = momentum * slot(s, "buf", g) + g
    return -rate * (g + momentum * s["buf"])


def nesterov_keras(t, g, p, s, rate, momentum=0.9):
    """keras.optimizers.SGD: m = momentum * m - lr * g; w += momentum * m - lr * g."""
    s["m"] = momentum * slot(s, "m", g) - rate * g
    return momentum * s["m"] - rate * g


def nesterov_paper(t, g, p, s, rate, momentum=0.9):
    """Sutskever et al. 2013, equations 3 and 4, carried in their own variable: theta_t with the gradient at
    theta_t + momentum * v_t. What is returned is the way of that look-ahead point, which is the caller's
    parameter."""
    v, theta = slot(s, "v", g), s.setdefault("theta", np.zeros_like(g))
    before = theta + momentum * v
    s["v"] = momentum * v - rate * g
    s["theta"] = theta + s["v"]
    return s["theta"] + momentum * s["v"] - before


def adagrad_paper(t, g, p, s, rate, delta=0.0):
    """Duchi et al. 2011, figure 1 (diagonal): s_t = ||g_{1:t,i}||_2, H_t = delta I + diag(s_t)."""
    history = s.setdefault("history", [])
    history.append(g)
    return -rate * ratio(g, delta + np.linalg.norm(np.stack(history), axis=0))


def adagrad_torch(t, g, p, s, rate, eps=1e-10):
    """torch.optim.Adagrad: sum += g^2; p -= lr * g / (sqrt(sum) + eps)."""
    s["sum"] = slot(s, "sum", g) + g**2
    return -rate * g / (np.sqrt(s["sum"]) + eps)


def adagrad_keras(t, g, p, s, rate, start=0.1, eps=1e-7):
    """keras.optimizers.Adagrad and optax.adagrad: accumulator from 0.1; lr * g / sqrt(accumulator + eps)."""
    s["accumulator"] = slot(s, "accumulator", g, start) + g**2
    return -(rate * g) / np.sqrt(s["accumulator"] + eps)


def adadelta(t, g, p, s, rate, rho=0.9, eps=1e-6):
    """Zeiler 2012, algorithm 1: dx = -RMS[dx]_{t-1} / RMS[g]_t * g."""
    s["g2"] = rho * slot(s, "g2", g) + (1 - rho) * g**2
    dx = -np.sqrt(slot(s, "x2", g) + eps) / np.sqrt(s["g2"] + eps) * g
    s["x2"] = rho * s["x2"] + (1 - rho) * dx**2
    return rate * dx


def rmsprop_paper(t, g, p, s, rate):
    """Hinton 2012, lecture 6e: MeanSquare = 0.9 MeanSquare + 0.1 g^2; divide the gradient by its root."""
    s["ms"] = 0.9 * slot(s, "ms", g) + 0.1 * g**2
    return -rate * ratio(g, np.sqrt(s["ms"]))


def rmsprop_keras(t, g, p, s, rate, rho=0.9, eps=1e-7, momentum=0.0, centered=False, nesterov=False):
    """keras.optimizers.RMSprop and optax.rmsprop: eps under the root, the rate inside the momentum."""
    s["v"] = rho * slot(s, "v", g) + (1 - rho) * g**2
    denominator = s["v"] + eps
    if centered:
        s["mean"] = rho * slot(s, "mean", g) + (1 - rho) * g
        denominator = s["v"] - s["mean"] ** 2 + eps
    increment = rate * g / np.sqrt(denominator)
    s["m"] = momentum * slot(s, "m", g) + increment
    return -(increment + momentum * s["m"]) if nesterov else -s["m"]


def rmsprop_torch(t, g, p, s, rate, alpha=0.99, eps=1e-8, momentum=0.0, centered=False):
    """torch.optim.RMSprop: eps outside the root, the rate outside the momentum."""
    s["sq"] = alpha * slot(s, "sq", g) + (1 - alpha) * g**2
    average = s["sq"]
    if centered:
        s["avg"] = slot(s, "avg", g) + (1 - alpha) * (g - slot(s, "avg", g))
        average = s["sq"] - s["avg"] ** 2
    s["buf"] = momentum * slot(s, "buf", g) + g / (np.sqrt(average) + eps)
    return -rate * s["buf"]


def rprop_torch(t, g, p, s, rate, eta_minus=0.5, eta_plus=1.2, smallest=1e-6, largest=50.0):
    """torch.optim.Rprop: the gradient counts as zero where its sign changed; sizes are clamped at every step."""
    s.setdefault("size", np.clip(np.full(g.shape, rate), smallest, largest))
    return rprop_bare(t, g, p, s, rate, eta_minus, eta_plus, smallest, largest)


def rprop_bare(t, g, p, s, rate, eta_minus=0.5, eta_plus=1.2, smallest=1e-6, largest=50.0):
    """The same, where the bounds hold for sizes that have changed."""
    size, previous = s.setdefault("size", np.full(g.shape, rate)), slot(s, "previous", g)
    sign = np.sign(g) * np.sign(previous)
    factor = np.where(sign > 0, eta_plus, np.where(sign < 0, eta_minus, 1.0))
    s["size"] = np.where(sign == 0, size, np.clip(size * factor, smallest, largest))
    s["previous"] = np.where(sign < 0, 0.0, g)
    return -np.sign(s["previous"]) * s["size"]


def rprop_optax(t, g, p, s, rate, **hyper):
    """optax 0.2.8 _src/transform.py scale_by_rprop: the step of the call before, and none where the sign
    changed."""
    previous = slot(s, "previous", g).copy()
    step = rprop_bare(t, g, p, s, rate, **hyper)
    late, s["late"] = slot(s, "late", g), step
    return np.where(np.sign(g) * np.sign(previous) < 0, 0.0, late)


def rprop_paper(t, g, p, s, rate, **hyper):
    """Riedmiller and Braun 1993: after a change of sign the last step is undone and the derivative set to
    zero."""
    changed = np.sign(g) * np.sign(slot(s, "previous", g)) < 0
    last = slot(s, "last", g)
    step = rprop_bare(t, g, p, s, rate, **hyper)
    s["last"] = np.where(changed, -last, step)
    return s["last"]


def adam(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8, eps_root=0.0):
    """Kingma and Ba 2015, algorithm 1."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    m_hat, v_hat = s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)
    return -rate * ratio(m_hat, np.sqrt(v_hat + eps_root) + eps)


def adam_keras(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-7):
    """keras.optimizers.Adam: alpha = lr * sqrt(1 - b2^t) / (1 - b1^t); m * alpha / (sqrt(v) + eps)."""
    s["m"] = slot(s, "m", g) + (g - slot(s, "m", g)) * (1 - b1)
    s["v"] = slot(s, "v", g) + (g**2 - slot(s, "v", g)) * (1 - b2)
    return -s["m"] * (rate * np.sqrt(1 - b2**t) / (1 - b1**t)) / (np.sqrt(s["v"]) + eps)


def adamw_keras(t, g, p, s, rate, weight_decay=0.004):
    """keras.optimizers.AdamW: variable -= variable * wd * lr, and then Adam."""
    return -p * weight_decay * rate + adam_keras(t, g, p, s, rate)


def adamw(t, g, p, s, rate, weight_decay=1e-4, **hyper):
    """Loshchilov and Hutter 2019, algorithm 2, with the decay times the rate as in torch.optim.AdamW."""
    return adam(t, g, p, s, rate, **hyper) - rate * weight_decay * p


def adamax(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba 2015, algorithm 2, with optax's eps."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["u"] = np.maximum(b2 * slot(s, "u", g), np.abs(g) + eps)
    return -rate / (1 - b1**t) * s["m"] / s["u"]


def adamax_keras(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-7):
    """keras.optimizers.Adamax: u = max(b2 * u, |g|); lr * m / ((1 - b1^t) * (u + eps))."""
    s["m"] = slot(s, "m", g) + (g - slot(s, "m", g)) * (1 - b1)
    s["u"] = np.maximum(b2 * slot(s, "u", g), np.abs(g))
    return -(rate * s["m"]) / ((1 - b1**t) * (s["u"] + eps))


def adamax_paper(t, g, p, s, rate, b1=0.9, b2=0.999):
    """Kingma and Ba 2015, algorithm 2."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["u"] = np.maximum(b2 * slot(s, "u", g), np.abs(g))
    return -rate / (1 - b1**t) * ratio(s["m"], s["u"])


def nadam_optax(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8):
    """optax.nadam, from its docstring."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    m_hat = b1 * s["m"] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    return -rate * m_hat / (np.sqrt(s["v"] / (1 - b2**t)) + eps)


def nadam_paper(t, g, p, s, rate, mu=0.99, nu=0.999, eps=1e-8):
    """Dozat 2016, algorithm 2, with the schedule of its experiments."""

    def at(i):
        return mu * (1 - 0.5 * 0.96 ** (i / 250))

    s["m"] = at(t) * slot(s, "m", g) + (1 - at(t)) * g
    s["n"] = nu * slot(s, "n", g) + (1 - nu) * g**2
    ahead, here = np.prod([at(i) for i in range(1, t + 2)]), np.prod([at(i) for i in range(1, t + 1)])
    m_hat = at(t + 1) * s["m"] / (1 - ahead) + (1 - at(t)) * g / (1 - here)
    return -rate / (np.sqrt(nu * s["n"] / (1 - nu**t)) + eps) * m_hat


def nadam_torch(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8, decay=4e-3):
    """torch.optim.NAdam, momentum_decay=4e-3."""
    mu, following = (b1 * (1 - 0.5 * 0.96 ** (i * decay)) for i in (t, t + 1))
    s["product"] = s.get("product", 1.0) * mu
    s["m"] = slot(s, "m", g) + (1 - b1) * (g - slot(s, "m", g))
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g * g
    root = np.sqrt(s["v"] / (1 - b2**t)) + eps
    first = -rate * (1 - mu) / (1 - s["product"]) * g / root
    return first - rate * following / (1 - s["product"] * following) * s["m"] / root


def nadam_keras(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-7):
    """keras.optimizers.Nadam: the exponent of 0.96 is the step itself."""
    return nadam_torch(t, g, p, s, rate, b1, b2, eps, decay=1.0)


def amsgrad_optax(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8):
    """optax.amsgrad: the maximum after the correction."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    s["top"] = np.maximum(slot(s, "top", g), s["v"] / (1 - b2**t))
    return -rate * s["m"] / (1 - b1**t) / (np.sqrt(s["top"]) + eps)


def amsgrad_paper(t, g, p, s, rate, b1=0.9, b2=0.999):
    """Reddi et al. 2018, algorithm 2: no correction, no eps."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    s["top"] = np.maximum(slot(s, "top", g), s["v"])
    return -rate * ratio(s["m"], np.sqrt(s["top"]))


def amsgrad_torch(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8):
    """torch.optim.Adam(amsgrad=True): denom = sqrt(max) / sqrt(correction2) + eps."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    s["top"] = np.maximum(slot(s, "top", g), s["v"])
    return -rate / (1 - b1**t) * s["m"] / (np.sqrt(s["top"]) / np.sqrt(1 - b2**t) + eps)


def amsgrad_keras(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-7):
    """keras.optimizers.Adam(amsgrad=True): alpha = lr * sqrt(1 - b2^t) / (1 - b1^t); m * alpha /
    (sqrt(v_hat) + eps)."""
    s["m"] = slot(s, "m", g) + (g - slot(s, "m", g)) * (1 - b1)
    s["v"] = slot(s, "v", g) + (g**2 - slot(s, "v", g)) * (1 - b2)
    s["top"] = np.maximum(slot(s, "top", g), s["v"])
    return -s["m"] * (rate * np.sqrt(1 - b2**t) / (1 - b1**t)) / (np.sqrt(s["top"]) + eps)


def lion(t, g, p, s, rate, b1=0.9, b2=0.99, weight_decay=1e-3):
    """Chen et al. 2023, algorithm 2."""
    c = b1 * slot(s, "m", g) + (1 - b1) * g
    s["m"] = b2 * s["m"] + (1 - b2) * g
    return -rate * (np.sign(c) + weight_decay * p)


def radam(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8, threshold=5.0):
    """Liu et al. 2020, algorithm 2, with optax's threshold."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    m_hat, long = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
    r = long - 2 * t * b2**t / (1 - b2**t)
    if r < threshold:
        return -rate * m_hat
    rectification = np.sqrt((r - 4) * (r - 2) * long / ((long - 4) * (long - 2) * r))
    return -rate * rectification * m_hat / (np.sqrt(s["v"] / (1 - b2**t)) + eps)


def radam_torch(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-8):
    """torch.optim.RAdam: sqrt(1 - b2^t) / (sqrt(v) + eps), and lr * m / (1 - b1^t) alone while rho_t <= 5."""
    s["m"] = slot(s, "m", g) + (1 - b1) * (g - slot(s, "m", g))
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g * g
    corrected, rho_inf = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
    rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return -rate * corrected
    rect = ((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) ** 0.5
    return -rate * corrected * (1 - b2**t) ** 0.5 / (np.sqrt(s["v"]) + eps) * rect


def radam_paper(t, g, p, s, rate, b1=0.9, b2=0.999):
    """Liu et al. 2020, algorithm 2: l = sqrt((1 - b2^t) / v), from a length of 4 on."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["v"] = b2 * slot(s, "v", g) + (1 - b2) * g**2
    m_hat, long = s["m"] / (1 - b1**t), 2 / (1 - b2) - 1
    r = long - 2 * t * b2**t / (1 - b2**t)
    if r <= 4:
        return -rate * m_hat
    rectification = np.sqrt((r - 4) * (r - 2) * long / ((long - 4) * (long - 2) * r))
    return -rate * rectification * m_hat * ratio(np.sqrt(1 - b2**t), np.sqrt(s["v"]))


def adabelief(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16):
    """Zhuang et al. 2020, algorithm 2."""
    s["m"] = b1 * slot(s, "m", g) + (1 - b1) * g
    s["s"] = b2 * slot(s, "s", g) + (1 - b2) * (g - s["m"]) ** 2 + eps_root
    return -rate * (s["m"] / (1 - b1**t)) / (np.sqrt(s["s"] / (1 - b2**t)) + eps)


def yogi(t, g, p, s, rate, b1=0.9, b2=0.999, eps=1e-3):
    """Zaheer et al. 2018, algorithm 2, with optax's start of both moments at 1e-6, and no step before the
    first gradient."""
    s["seen"] = slot(s, "seen", g) + (g != 0)
    s["m"] = b1 * slot(s, "m", g, 1e-6) + (1 - b1) * g
    s["v"] = slot(s, "v", g, 1e-6)
    s["v"] = s["v"] - (1 - b2) * np.sign(s["v"] - g**2) * g**2
    step = s["m"] / (1 - b1**t) / (np.sqrt(s["v"] / (1 - b2**t)) + eps)
    return -rate * np.where(s["seen"] > 0, step, 0.0)


def trust(p, step, coefficient=1.0, eps=0.0):
    length, step_length = np.sqrt(np.sum(p**2)), np.sqrt(np.sum(step**2))
    return 1.0 if length == 0 or step_length == 0 else coefficient * length / (step_length + eps)


def lamb(t, g, p, s, rate, weight_decay=0.0, eps=1e-6, **hyper):
    """You et al. 2020, algorithm 2."""
    step = -adam(t, g, p, s, 1.0, eps=eps, **hyper) + weight_decay * p
    return -rate * trust(p, step) * step


def lars(t, g, p, s, rate, weight_decay=0.0, coefficient=0.001, momentum=0.9, nesterov=False):
    """You et al. 2017, algorithm 1, with the norm of the decayed gradient as in optax."""
    step = g + weight_decay * p
    step = rate * trust(p, step, coefficient) * step
    s["v"] = momentum * slot(s, "v", g) + step
    return -(step + momentum * s["v"]) if nesterov else -s["v"]


def adafactor(t, g, p, s, rate, shortest=128, weight_decay=None, momentum=None, eps=1e-30):
    """Shazeer and Stern 2018, algorithm 4 (and 5 for vectors), with optax's order; its decay is formed in
    float32."""
    d = np.float64(np.float32(1) - np.float32(t) ** np.float32(-0.8))
    square = g**2 + eps
    order = np.argsort(g.shape)
    if g.ndim >= 2 and g.shape[order[-2]] >= shortest:
        second, first = order[-2:]
        row = d * s.get("row", 0.0) + (1 - d) * square.mean(first, keepdims=True)
        column = d * s.get("column", 0.0) + (1 - d) * square.mean(second, keepdims=True)
        s["row"], s["column"] = row, column
        u = g / np.sqrt(row * column / row.mean(second, keepdims=True))
    else:
        s["v"] = d * slot(s, "v", g) + (1 - d) * square
        u = g / np.sqrt(s["v"])
    if u.size:
        u = u / max(1.0, np.sqrt(np.mean(u**2)))
        u = rate * max(1e-3, np.sqrt(np.mean(p**2))) * u
    if momentum is not None:
        u = s["ema"] = momentum * slot(s, "ema", g) + (1 - momentum) * u
    return -u if weight_decay is None else -(u + weight_decay * p)


def muon(t, g, p, s, rate, beta=0.95, eps=1e-8, weight_decay=0.0, rms=None, steps=5):
    """Jordan et al. 2024: Newton-Schulz on the mean gradient that looks ahead; NAdam for what is no matrix,
    as optax.contrib."""
    if g.ndim != 2:
        return nadam_optax(t, g, p, s, rate, eps=eps)
    s["m"] = beta * slot(s, "m", g) + (1 - beta) * g
    x = beta * s["m"] / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
    x = ratio(x, np.sqrt(np.sum(x**2)) + eps)
    for _ in range(steps):
        x = 3.4445 * x - 4.7750 * (x @ x.T @ x) + 2.0315 * (x @ x.T @ x @ x.T @ x)
    rows, columns = g.shape
    scale = np.sqrt(max(1.0, columns / rows)) if rms is None else rms * np.sqrt(max(rows, columns))
    return -rate * (scale * x + weight_decay * p)
