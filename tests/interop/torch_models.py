"""Models of PyTorch, each beside the model of ours that equals it and the map between their names."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import interop

torch = pytest.importorskip("torch")
T = torch.nn


class Case(NamedTuple):
    """A PyTorch module, our model, how their names and inputs map."""

    module: Callable[[], Any]
    model: Callable[[], Any]
    shape: tuple[int, ...]
    names: dict[str, Any]
    inputs: Callable[[Any], Any] | None = None
    outputs: Callable[[Any], Any] | None = None
    trains: tuple[bool, ...] = (False,)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng([3, *shape]).normal(size=shape)


def images(x):
    return x.permute(0, 3, 1, 2)


class LeNet(T.Module):
    """LeCun et al. (1998), small."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = T.Conv2d(1, 3, 3, padding=1), T.Conv2d(3, 4, 3)
        self.fc1, self.fc2 = T.Linear(4 * 2 * 3, 5), T.Linear(5, 3)

    def forward(self, x):
        x = torch.nn.functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.tanh(self.fc1(x.flatten(1))))


def lenet():
    return nn.chain(
        *(nn.conv(3, (3, 3), padding="SAME"), jnp.tanh, nn.avg_pool((2, 2))),
        *(nn.conv(4, (3, 3)), jax.nn.relu, nn.max_pool((2, 2))),
        *(nn.flatten(), nn.dense(5), jnp.tanh, nn.dense(3)),
    )


class Block(T.Module):
    """A residual block of He et al. (2016), as torchvision names it."""

    def __init__(self, width, features, stride):
        super().__init__()
        self.conv1, self.bn1 = T.Conv2d(width, features, 3, stride, 1, bias=False), T.BatchNorm2d(features)
        self.conv2, self.bn2 = T.Conv2d(features, features, 3, 1, 1, bias=False), T.BatchNorm2d(features)
        if stride > 1:
            self.downsample = T.Sequential(
                T.Conv2d(width, features, 1, stride, bias=False), T.BatchNorm2d(features)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(T.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = T.Conv2d(2, 3, 3, padding=1, bias=False), T.BatchNorm2d(3)
        self.layer1, self.layer2 = Block(3, 3, 1), Block(3, 4, 2)
        self.fc = T.Linear(4, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(x.mean((2, 3)))


def resnet():
    def conv(features, size, stride=1):
        # PyTorch pads both sides alike; "SAME" with a stride would pad one side more.
        side = (size // 2, size // 2)
        return nn.conv(features, (size, size), stride, (side, side), use_bias=False)

    def block(features, stride):
        body = nn.chain(
            conv(features, 3, stride), nn.batch_norm(), jax.nn.relu, conv(features, 3), nn.batch_norm()
        )
        return nn.residual(body, nn.chain(conv(features, 1, stride), nn.batch_norm()) if stride > 1 else None)

    return nn.chain(
        *(conv(3, 3), nn.batch_norm(), jax.nn.relu),
        *(block(3, 1), jax.nn.relu, block(4, 2), jax.nn.relu),
        *(nn.global_avg_pool(), nn.dense(3)),
    )


RESNET = {
    "conv_0": "conv1",
    "batch_norm_0": "bn1",
    "residual_{i}.body.conv_{j}": "layer{i+1}.conv{j+1}",
    "residual_{i}.body.batch_norm_{j}": "layer{i+1}.bn{j+1}",
    "residual_{i}.shortcut.conv_0": "layer{i+1}.downsample.0",
    "residual_{i}.shortcut.batch_norm_0": "layer{i+1}.downsample.1",
    "dense_0": "fc",
}


class OriginalGRU(T.GRU):
    """The form of Cho et al. (2014), which PyTorch does not have: the reset gate acts before the product."""

    def forward(self, x):
        h, outputs = x.new_zeros(x.shape[0], self.hidden_size), []
        w, u = self.weight_ih_l0.chunk(3), self.weight_hh_l0.chunk(3)
        b = (self.bias_ih_l0 + self.bias_hh_l0).chunk(3)
        for step in x.unbind(1):
            r = torch.sigmoid(step @ w[0].T + h @ u[0].T + b[0])
            z = torch.sigmoid(step @ w[1].T + h @ u[1].T + b[1])
            n = torch.tanh(step @ w[2].T + (r * h) @ u[2].T + b[2])
            h = (1 - z) * n + z * h
            outputs.append(h)
        return torch.stack(outputs, 1)


def encoder(pre_norm):
    layer = T.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=pre_norm
    )
    return T.TransformerEncoder(layer, 2, T.LayerNorm(8), enable_nested_tensor=False)


def transformer(pre_norm):
    gelu = functools.partial(jax.nn.gelu, approximate=False)
    blocks = [nn.transformer_block(2, mlp_ratio=2, activation=gelu, pre_norm=pre_norm) for _ in range(2)]
    return nn.chain(*blocks, nn.layer_norm())


ENCODER = {
    "transformer_block_{i}.attention": "layers.{i}.self_attn",
    "transformer_block_{i}.attention_norm": "layers.{i}.norm1",
    "transformer_block_{i}.mlp_norm": "layers.{i}.norm2",
    "transformer_block_{i}.mlp.dense_{j}": "layers.{i}.linear{j+1}",
    "layer_norm_0": "norm",
}


class Upsampler(T.Module):
    def __init__(self):
        super().__init__()
        self.up, self.norm, self.act = T.ConvTranspose2d(2, 4, 3, 2), T.GroupNorm(2, 4), T.PReLU()
        self.line = T.Conv1d(4, 3, 2, groups=1)

    def forward(self, x):
        return self.line(self.act(self.norm(self.up(x))).flatten(2)).transpose(1, 2)


def upsampler():
    edges = ((2, 2), (2, 2))
    return nn.chain(
        nn.conv_transpose(4, (3, 3), 2, edges),
        nn.group_norm(2),
        nn.prelu(),
        nn.reshape(63, 4),
        nn.conv(3, (2,)),
    )


class Flattened(T.Module):
    """Norms and a slope for each feature behind a flatten."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.act = T.Conv2d(1, 3, 3), T.BatchNorm1d(3 * 2 * 4), T.PReLU(3 * 2 * 4)
        self.norm, self.fc = T.LayerNorm(3 * 2 * 4), T.Linear(3 * 2 * 4, 5)
        self.bn2, self.out = T.BatchNorm1d(5), T.Linear(5, 2)
        for module in (self.bn, self.norm, self.bn2):
            T.init.normal_(module.weight)
            T.init.normal_(module.bias)
        T.init.normal_(self.act.weight)

    def forward(self, x):
        x = self.norm(self.act(self.bn(self.conv(x).flatten(1))))
        return self.out(self.bn2(self.fc(x)))


class Cells(T.Module):
    """Cells on top of each other, one step at a time."""

    def __init__(self):
        super().__init__()
        self.cells = T.ModuleList([T.LSTMCell(3, 4), T.GRUCell(4, 5), T.RNNCell(5, 2)])

    def forward(self, x):
        carries, outputs = [None, None, None], []
        for step in x.unbind(1):
            for i, cell in enumerate(self.cells):
                carries[i] = cell(step, carries[i])
                step = carries[i][0] if i == 0 else carries[i]
            outputs.append(step)
        return torch.stack(outputs, 1)


class SelfAttention(T.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


def first(y):
    return y[0]


MODELS = {
    "lenet": Case(
        LeNet,
        lenet,
        (2, 12, 16, 1),
        {
            "conv_0": "conv1",
            "conv_1": "conv2",
            "dense_0": interop.AfterFlatten("fc1", (4, 2, 3)),
            "dense_1": "fc2",
        },
        images,
    ),
    "resnet": Case(ResNet, resnet, (3, 6, 6, 2), RESNET, images, trains=(False, True)),
    "bidirectional lstm": Case(
        lambda: T.LSTM(3, 4, 2, batch_first=True, bidirectional=True),
        lambda: nn.chain(*(nn.bidirectional(nn.lstm(4)) for _ in range(2))),
        (2, 5, 3),
        {"bidirectional_{i}.forward": "*_l{i}", "bidirectional_{i}.backward": "*_l{i}_reverse"},
        outputs=first,
    ),
    "gru": Case(
        lambda: T.GRU(3, 4, batch_first=True),
        lambda: nn.chain(nn.gru(4)),
        (2, 5, 3),
        {"gru_0": "*_l0"},
        outputs=first,
    ),
    "gru original": Case(
        lambda: OriginalGRU(3, 4, batch_first=True),
        lambda: nn.chain(nn.gru(4, form="original")),
        (2, 5, 3),
        {"gru_0": "*_l0"},
    ),
    "behind a flatten": Case(
        Flattened,
        lambda: nn.chain(
            *(nn.conv(3, (3, 3)), nn.flatten(), nn.batch_norm(), nn.prelu(shared=False), nn.layer_norm()),
            *(nn.dense(5), nn.batch_norm(), nn.dense(2)),
        ),
        (4, 4, 6, 1),
        {
            "conv_0": "conv",
            "batch_norm_0": interop.AfterFlatten("bn", (3, 2, 4)),
            "prelu_0": interop.AfterFlatten("act", (3, 2, 4)),
            "layer_norm_0": interop.AfterFlatten("norm", (3, 2, 4)),
            "dense_0": interop.AfterFlatten("fc", (3, 2, 4)),
            "batch_norm_1": "bn2",
            "dense_1": "out",
        },
        images,
        trains=(False, True),
    ),
    "cells": Case(
        Cells,
        lambda: nn.chain(nn.rnn(nn.stacked_cell(nn.lstm_cell(4), nn.gru_cell(5), nn.simple_rnn_cell(2)))),
        (2, 5, 3),
        {
            "rnn_0.lstm_cell_0": "cells.0",
            "rnn_0.gru_cell_0": "cells.1",
            "rnn_0.simple_rnn_cell_0": "cells.2",
        },
    ),
    "fused": Case(
        lambda: SelfAttention(8, 2, batch_first=True),
        lambda: nn.chain(nn.attention(2)),
        (2, 5, 8),
        {
            **{
                f"attention_0.{part}.{leaf}": interop.Tensor(
                    f"in_proj_{'weight' if leaf == 'kernel' else 'bias'}",
                    (1, 0) if leaf == "kernel" else None,
                    np.s_[8 * place : 8 * place + 8],
                )
                for place, part in enumerate(("query", "key", "value"))
                for leaf in ("kernel", "bias")
            },
            "attention_0.output.kernel": interop.Tensor("out_proj.weight", (1, 0)),
            "attention_0.output.bias": "out_proj.bias",
        },
    ),
    "encoder": Case(lambda: encoder(False), lambda: transformer(False), (2, 5, 8), ENCODER),
    "encoder pre-norm": Case(lambda: encoder(True), lambda: transformer(True), (2, 5, 8), ENCODER),
    "upsampler": Case(
        Upsampler,
        upsampler,
        (2, 3, 4, 2),
        {"conv_transpose_0": "up", "group_norm_0": "norm", "prelu_0": "act", "conv_0": "line"},
        images,
    ),
}
