"""The JAX side of CellFlow: its velocity field, one training step, the way from controls to perturbed cells.

Nothing but numpy arrays goes in and out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from perturbench_lamin.errors import InputError, nearest
from perturbench_lamin.models.external import extra
from perturbench_lamin.models.hyperparameters import Hyperparameters

POOLINGS = ("attention_token", "attention_seed", "mean")
CHUNK_CELLS = 256
"""Cells whose paths are computed together, always as many: for another number the last digits differ, and the
velocity changes so fast with time that a path then ends visibly elsewhere."""

Conditions = Mapping[str, np.ndarray]
"""Name → cells or 1 × set size × width: what was done, as a set of vectors."""


@dataclass(frozen=True)
class CellFlowHyperparameters(Hyperparameters):
    """Hyperparameters of :class:`~.cellflow.CellFlow`. The defaults of the network are the package's.

    Attributes:
        lr: Adam's learning rate.
        accumulate: steps whose mean gradient makes one update.
        set_size: control cells and perturbed cells of a step.
        n_components: principal components of the training cells, the space of the flow.
        hidden_width: width of the layers that encode a cell.
        time_width: width of those that encode the time.
        decoder_width: width of those that give the velocity.
        n_layers: how many layers each of these has.
        time_freqs: frequencies of the time's encoding.
        time_max_period: how often the fastest of them turns within the unit of time, times 2 π.
        condition_dim: width of a condition's code.
        condition_dropout: probability of dropping an entry of it in training.
        pooling: how a set of perturbations becomes one code.
        noise: standard deviation of the path between a control and a perturbed cell.
        epsilon: entropic regularisation of the transport plan that pairs them.
    """

    lr: float = 5e-5
    accumulate: int = 20
    set_size: int = 1024
    n_components: int = 50
    hidden_width: int = 2048
    time_width: int = 2048
    decoder_width: int = 4096
    n_layers: int = 3
    time_freqs: int = 1024
    time_max_period: int = 10000
    condition_dim: int = 256
    condition_dropout: float = 0.9
    pooling: str = "attention_token"
    noise: float = 0.0
    epsilon: float = 1.0

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise InputError(
                f"Unknown pooling {self.pooling!r}", where="hyperparameters", fix=nearest(self.pooling, POOLINGS)
            )
        if not 0 <= self.condition_dropout < 1 or self.noise < 0:
            raise InputError(
                f"condition_dropout is {self.condition_dropout}, noise {self.noise}",
                where="hyperparameters",
                fix="Give a probability less than 1, and a noise of at least 0.",
            )
        for name, value in vars(self).items():
            if name not in ("pooling", "condition_dropout", "noise") and value <= 0:
                raise InputError(f"{name} is {value}", where="hyperparameters", fix="Give more than 0.")


class Flow:
    """Conditional flow matching between controls and perturbed cells in a space of few dimensions.

    Args:
        settings: its hyperparameters.
        widths: name of a part of a condition → width of its vectors.
        seed: seed of the initial weights.
    """

    def __init__(self, settings: CellFlowHyperparameters, widths: Mapping[str, int], seed: int) -> None:
        # Else JAX takes most of a GPU's memory at once, which torch uses too.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.jax = extra.CELLFLOW.module("jax")
        optax = extra.CELLFLOW.module("optax")
        self.solver = extra.CELLFLOW.module("cellflow.solvers").OTFlowMatching(
            vf=_velocity_field(settings),
            probability_path=extra.CELLFLOW.module("cellflow._compat").ConstantNoiseFlow(settings.noise),
            match_fn=partial(extra.CELLFLOW.module("cellflow.utils").match_linear, epsilon=settings.epsilon),
            optimizer=optax.MultiSteps(optax.adam(settings.lr), settings.accumulate),
            conditions={name: np.zeros((1, 1, width), dtype=np.float32) for name, width in widths.items()},
            rng=self.jax.random.PRNGKey(seed),
        )
        self._transport = self._transport_function()

    def step(self, controls: np.ndarray, perturbed: np.ndarray, condition: Conditions, seed: int) -> float:
        """One training step.

        Args:
            controls: cells × components.
            perturbed: likewise.
            condition: of the perturbed cells, with one entry on the first axis.
            seed: seed of pairing, times, noise and dropout.

        Returns:
            the flow matching loss: the mean of (velocity − (perturbed − control))².
        """
        batch = {"src_cell_data": controls, "tgt_cell_data": perturbed, "condition": dict(condition)}
        return float(self.solver.step_fn(self.jax.random.PRNGKey(seed), batch))

    def transport(self, controls: np.ndarray, conditions: Conditions) -> np.ndarray:
        """Follow the velocity from each control cell under its own condition for a unit of time.

        Args:
            controls: cells × components.
            conditions: one entry on the first axis for each cell.

        Returns:
            cells × components, float32.
        """
        parts = []
        for start in range(0, len(controls), CHUNK_CELLS):
            rows = np.arange(start, min(start + CHUNK_CELLS, len(controls)))
            padded = np.pad(rows, (0, CHUNK_CELLS - len(rows)), mode="edge")
            chosen = {name: values[padded][:, None] for name, values in conditions.items()}
            parts.append(np.asarray(self._transport(self._weights, controls[padded], chosen))[: len(rows)])
        return np.concatenate(parts)

    def arrays(self) -> list[np.ndarray]:
        """Weights and the optimiser's state, to go on from."""
        return [np.array(leaf) for leaf in self.jax.tree_util.tree_leaves(self.solver.vf_state)]

    def restore(self, arrays: Sequence[np.ndarray]) -> None:
        """Take over :meth:`arrays`.

        Raises:
            InputError: they are of another network.
        """
        leaves, tree = self.jax.tree_util.tree_flatten(self.solver.vf_state)
        if [np.shape(leaf) for leaf in leaves] != [array.shape for array in arrays]:
            raise InputError("The weights are of another network", where="cellflow", fix="Use its own checkpoint.")
        asarray = self.jax.numpy.asarray
        typed = [asarray(array, dtype=asarray(leaf).dtype) for array, leaf in zip(arrays, leaves, strict=True)]
        self.solver.vf_state = self.solver.vf_state_inference = tree.unflatten(typed)

    @property
    def _weights(self) -> Any:
        return self.solver.vf_state_inference.params

    def _transport_function(self) -> Any:
        """As the package's own prediction, tolerances too, but with a condition for each cell."""
        diffrax = extra.CELLFLOW.module("diffrax")
        field = self.solver.vf

        def path_end(weights: Any, cell: Any, condition: Any) -> Any:
            noise = self.jax.numpy.zeros((1, field.condition_embedding_dim))

            def velocity(time: Any, place: Any, _: Any) -> Any:
                return field.apply({"params": weights}, time, place, condition, noise, train=False)[0]

            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(velocity), diffrax.Tsit5(), t0=0.0, t1=1.0, dt0=None, y0=cell,
                stepsize_controller=diffrax.PIDController(rtol=1e-5, atol=1e-5),
            )  # fmt: skip
            return solution.ys[0]

        return self.jax.jit(self.jax.vmap(path_end, in_axes=(None, 0, 0)))


def _velocity_field(settings: CellFlowHyperparameters) -> Any:
    widths = {
        name: (width,) * settings.n_layers
        for name, width in {
            "time_encoder_dims": settings.time_width,
            "hidden_dims": settings.hidden_width,
            "decoder_dims": settings.decoder_width,
        }.items()
    }
    return extra.CELLFLOW.module("cellflow.networks").ConditionalVelocityField(
        output_dim=settings.n_components,
        max_combination_length=1,  # of the example that gives the weights their shapes; sets may be larger
        regularization=0.0,
        condition_embedding_dim=settings.condition_dim,
        cond_output_dropout=settings.condition_dropout,
        pooling=settings.pooling,
        time_freqs=settings.time_freqs,
        time_max_period=settings.time_max_period,
        **widths,
    )
