"""A small ensemble of perceptrons on one trunk (TabM's idea), for all outcomes at once, in PyTorch.

Every perceptron shares the trunk's weight matrices and has its own elementwise input and output scales and biases
(BatchEnsemble) and its own heads; a group of perceptrons is one member and sees that member's bootstrap draw. The
network learns what the line leaves, from the cell's state alone: levers act through the line, where physics can
speak. Trained in float32; the prediction is *defined* by the float64 structure
that the weights are cast into.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from training.estimators.task import Task, input_ranges
from training.settings import NetworkSettings
from training.structures import Floats, Inputs, Ints, Layer, Network, Structure, Sum, parts

_MISSING_SHARE = 0.01
"""Columns missing more often than this get an indicator of their own."""


class Trunk(nn.Module):
    """k perceptrons with shared matrices: (n, q) inputs to (k, n, o) outputs."""

    def __init__(
        self, inputs: int, outputs: int, settings: NetworkSettings, generator: torch.Generator
    ) -> None:
        """Draw the initial weights from ``generator`` alone."""
        super().__init__()
        k, widths = settings.heads, [inputs, *[settings.width] * settings.depth]
        self.matrix = nn.ParameterList()
        self.enter = nn.ParameterList()
        self.leave = nn.ParameterList()
        self.bias = nn.ParameterList()
        for i, (width_in, width_out) in enumerate(itertools.pairwise(widths)):
            bound = (6.0 / width_in) ** 0.5 * 0.5
            self.matrix.append(nn.Parameter(_uniform((width_in, width_out), bound, generator)))
            signs = torch.randint(0, 2, (k, width_in), generator=generator).float() * 2 - 1
            self.enter.append(nn.Parameter(signs if i == 0 else torch.ones(k, width_in)))
            self.leave.append(nn.Parameter(torch.ones(k, width_out)))
            self.bias.append(nn.Parameter(_uniform((k, width_out), 0.1, generator)))
        self.head = nn.Parameter(_uniform((k, widths[-1], outputs), 0.1 / widths[-1] ** 0.5, generator))
        self.head_bias = nn.Parameter(torch.zeros(k, outputs))

    def forward(self, x: Tensor, keep: Sequence[Tensor] | None = None) -> Tensor:
        """Return (k, n, o) from x (n, q); ``keep`` holds one dropout mask (n, width) per layer."""
        hidden = x.unsqueeze(0)
        for i, matrix in enumerate(self.matrix):
            hidden = (hidden * self.enter[i].unsqueeze(1)) @ matrix
            hidden = torch.relu(hidden * self.leave[i].unsqueeze(1) + self.bias[i].unsqueeze(1))
            if keep is not None:
                hidden = hidden * keep[i].unsqueeze(0)
        return hidden @ self.head + self.head_bias.unsqueeze(1)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


@dataclass(frozen=True)
class _Scaling:
    """inputs, indicator: as the structure reads Z; mean, sd (z,): of what it reads; spread (o,): of the labels."""

    inputs: Inputs
    indicator: Ints
    mean: Floats
    sd: Floats
    spread: Floats

    def standard(self, z: Floats) -> Floats:
        """Return what the network sees (n, z + q) of ``z`` (n, z)."""
        x = (self.inputs.read(z) - self.mean) / self.sd
        return np.concatenate([x, np.isnan(z[:, self.indicator])], axis=1)


@dataclass(frozen=True)
class _Batchable:
    """x (n, q) inputs, target (n, o) with zeros where unknown, weight (n, k, o) zero where unknown."""

    x: Tensor
    target: Tensor
    weight: Tensor


def fit_network(
    rows: Task, tasks: Mapping[str, Floats], lines: Mapping[str, Structure], settings: NetworkSettings
) -> dict[str, Sum]:
    """Fit one network to every outcome of ``tasks`` (outcome -> y (n,), NaN = unknown) beyond its line.

    ``rows`` carries the design matrix, the member weights and the seed; its own labels are not used.

    Returns:
        outcome -> line plus network.
    """
    names = tuple(tasks)
    residual = np.stack([tasks[name] - lines[name].members(rows.z).mean(axis=1) for name in names], axis=1)
    scaling = _scaling(rows, residual)
    data = _data(rows, residual, scaling, settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads would depend on how many there are
    try:
        trunk = _train(data, settings, rows.seed)
    finally:
        torch.set_num_threads(threads)
    networks = to_structures(trunk, scaling, rows.m)
    return {
        name: Sum(parts=(*parts(lines[name]), network)) for name, network in zip(names, networks, strict=True)
    }


def _scaling(rows: Task, residual: Floats) -> _Scaling:
    seen = rows.local.copy()  # by line-wide columns it would learn dates
    for lever in rows.levers:
        seen[[lever.value, lever.move]] = False
    inputs = input_ranges(replace(rows, usable=seen, levers=()))
    x = inputs.read(rows.z)
    # Rounding gives a pinned or constant column a spread near 1e-12; dividing by it would swamp the first layer.
    sd = np.where(inputs.low < inputs.high, x.std(axis=0), 0.0)
    missing = np.isnan(rows.z).mean(axis=0)
    indicator = np.flatnonzero((missing > _MISSING_SHARE) & (missing < 1) & seen)
    spread = np.nanstd(residual, axis=0)
    return _Scaling(
        inputs, indicator, x.mean(axis=0), np.where(sd > 0, sd, 1.0), np.where(spread > 0, spread, 1.0)
    )


def _data(rows: Task, residual: Floats, scaling: _Scaling, settings: NetworkSettings) -> _Batchable:
    known = np.isfinite(residual)
    target = np.where(known, residual / scaling.spread, 0.0)
    per_head = np.repeat(rows.weights, settings.heads // rows.m, axis=1)
    weight = per_head[:, :, None] * known[:, None, :]
    arrays = (scaling.standard(rows.z), target, weight)
    return _Batchable(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))


def _train(data: _Batchable, settings: NetworkSettings, seed: int) -> Trunk:
    generator = torch.Generator().manual_seed(seed)
    trunk = Trunk(data.x.shape[1], data.target.shape[1], settings, generator)
    optimiser = torch.optim.AdamW(
        trunk.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = -(-len(data.x) // settings.batch) * settings.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=steps)
    for _ in range(settings.epochs):
        order = torch.randperm(len(data.x), generator=generator)
        for start in range(0, len(order), settings.batch):
            batch = order[start : start + settings.batch]
            optimiser.zero_grad()
            _loss(trunk, data, batch, settings, generator).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return trunk


def _loss(
    trunk: Trunk, data: _Batchable, batch: Tensor, settings: NetworkSettings, generator: torch.Generator
) -> Tensor:
    x, weight = data.x[batch], data.weight[batch].transpose(0, 1)
    keep = None
    if settings.dropout > 0:
        shape, share = (len(batch), settings.width), 1 - settings.dropout
        keep = [(torch.rand(shape, generator=generator) < share).float() / share for _ in trunk.matrix]
    square = weight * (trunk(x, keep) - data.target[batch].unsqueeze(0)) ** 2
    loss: Tensor = square.sum() / weight.sum().clamp(min=1.0)
    return loss


def to_structures(trunk: Trunk, scaling: "_Scaling", m: int) -> tuple[Network, ...]:
    """Cast the trained weights to float64 and fold the scalings in: one network per outcome, the trunk shared."""
    arrays = {name: value.detach().numpy().astype(np.float64) for name, value in trunk.named_parameters()}
    layers: list[Layer] = []
    for i in range(len(trunk.matrix)):
        enter, leave = arrays[f"enter.{i}"][:, :, None], arrays[f"leave.{i}"][:, None, :]
        layers.append(Layer(enter * arrays[f"matrix.{i}"][None] * leave, arrays[f"bias.{i}"]))
    ones = np.zeros(len(scaling.indicator))
    mean, sd = np.concatenate([scaling.mean, ones]), np.concatenate([scaling.sd, ones + 1.0])
    first = layers[0].weight / sd[None, :, None]
    layers[0] = Layer(first, layers[0].bias - np.matmul(mean, first))
    heads, biases = arrays["head"], arrays["head_bias"]
    return tuple(
        Network(
            inputs=scaling.inputs,
            indicator=scaling.indicator,
            layers=(*layers, Layer(heads[:, :, o : o + 1] * spread, biases[:, o : o + 1] * spread)),
            m=m,
        )
        for o, spread in enumerate(scaling.spread)
    )
