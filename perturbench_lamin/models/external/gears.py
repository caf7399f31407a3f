"""GEARS, from its own package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from perturbench_lamin.errors import InputError, some
from perturbench_lamin.loading.batches import Batch
from perturbench_lamin.loading.vocabulary import Vocabulary
from perturbench_lamin.models.base import PerturbationModel
from perturbench_lamin.models.external import extra
from perturbench_lamin.models.external.gears_data import GearsData
from perturbench_lamin.models.external.gears_loss import gears_loss
from perturbench_lamin.models.external.graphs import NamedGraph, coexpression_graph, edge_list, read_graph
from perturbench_lamin.models.external.training_cells import training_cells
from perturbench_lamin.models.hyperparameters import GradientHyperparameters, Hyperparameters

PREDICTED_CELLS = 16
"""Cells that are predicted at a time: each takes several times genes × hidden_size numbers."""


@dataclass(frozen=True)
class GearsHyperparameters(GradientHyperparameters):
    """Hyperparameters of :class:`Gears`. The defaults are PerturBench's best on Norman19 (10 epochs, batches of 32).

    Attributes:
        hidden_size: width of the embeddings.
        go_layers: graph layers over the perturbations.
        gene_layers: graph layers over the genes.
        decoder_hidden_size: listed among the published values; the package reads it and does not use it.
        similar_genes_go: neighbours of a perturbation.
        similar_genes_coexpression: neighbours of a gene.
        coexpression_threshold: absolute correlation above which genes are neighbours.
        direction_lambda: weight of the direction loss.
        go_graph: CSV file of the similarity of genes (source, target, importance), such as the
            ``go_essential_all.csv`` that GEARS publishes; read when the training starts.
        isolated_tokens: whether perturbations that the graph lacks may take part, without neighbours.
        coexpression_for_every_cell: whether all cells of a batch see the co-expression graph. In the package
            only the first cell of a batch does, because it gives the graph of one cell to all of them;
            False does as the package.
    """

    files: ClassVar[tuple[str, ...]] = ("go_graph",)
    lr: float = 3.863e-5
    wd: float = 9.967e-4
    hidden_size: int = 384
    go_layers: int = 1
    gene_layers: int = 2
    decoder_hidden_size: int = 48
    similar_genes_go: int = 25
    similar_genes_coexpression: int = 15
    coexpression_threshold: float = 0.31
    direction_lambda: float = 0.1
    go_graph: str = ""
    isolated_tokens: bool = False
    coexpression_for_every_cell: bool = True


class Gears(PerturbationModel):
    """The graph network of GEARS (Roohani, Huang & Leskovec, Nature Biotechnology 2023), package cell-gears.

    The network is the package's; graphs, loss and batches are made here. The co-expression graph comes from the
    training controls and single perturbations, the other one from the file ``go_graph``: nothing is downloaded
    or unpickled, and both are kept in the checkpoint. It trains with Adam, a learning rate halved each epoch
    and gradients clipped to ±1; ``val_loss`` is the mean squared error. It sees no covariates.

    Other than in the package, controls are no training targets, each epoch draws new controls, and the control
    mean of the direction loss is that of the cell's covariate state.
    """

    name: ClassVar[str] = "gears"
    hyperparameters_type: ClassVar[type[Hyperparameters]] = GearsHyperparameters
    control_mean: Tensor
    expressed: Tensor
    gene_sources: Tensor
    gene_weights: Tensor
    go_sources: Tensor
    go_weights: Tensor
    token_nodes: Tensor

    def __init__(self, hyperparameters: GearsHyperparameters, vocabulary: Vocabulary) -> None:
        super().__init__(hyperparameters, vocabulary)
        self.settings = settings = hyperparameters
        self._package = extra.GEARS.module("gears.model")
        genes, neighbours = len(vocabulary.genes), settings.similar_genes_coexpression + 1
        self.register_buffer("control_mean", torch.zeros(len(vocabulary.states), genes))
        self.register_buffer("expressed", torch.zeros(len(vocabulary.conditions), genes, dtype=torch.bool))
        self.register_buffer("gene_sources", torch.full((genes, min(neighbours, genes)), -1))
        self.register_buffer("gene_weights", torch.zeros(genes, min(neighbours, genes)))
        self.register_buffer("token_nodes", torch.zeros(len(vocabulary.perturbations), dtype=torch.int64))
        self._build(len(vocabulary.perturbations))

    def setup(self, stage: str) -> None:
        """Make the graphs and the network for them, before a training."""
        if stage == "fit":
            graph = self._go_graph()
            self._build(len(graph.names))
            place = {name: node for node, name in enumerate(graph.names)}
            self.token_nodes.copy_(torch.tensor([place[token] for token in self.vocabulary.perturbations]))
            self.go_sources.copy_(torch.from_numpy(graph.neighbours.sources))
            self.go_weights.copy_(torch.from_numpy(graph.neighbours.weights))
            self._summarise(GearsData.of_cells(training_cells(self.trainer), self.vocabulary))

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """Load weights and graphs; the number of the graph's nodes is theirs."""
        if "go_sources" in state_dict and len(state_dict["go_sources"]) != len(self.go_sources):
            self._build(len(state_dict["go_sources"]))
        return super().load_state_dict(state_dict, *args, **options)

    def predict(self, batch: Batch) -> Tensor:
        """Control plus the network's change of each gene."""
        if self.training:
            return self._run(batch.controls, batch.perturbations)
        parts = [slice(start, start + PREDICTED_CELLS) for start in range(0, len(batch), PREDICTED_CELLS)]
        return torch.cat([self._run(batch.controls[part], batch.perturbations[part]) for part in parts])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of GEARS."""
        loss = gears_loss(
            self.predict(batch),
            batch.target,
            control=self.control_mean[batch.state_ids],
            used=self.expressed[batch.condition_ids],
            conditions=batch.condition_ids,
            direction_lambda=self.settings.direction_lambda,
        )
        self.log_mean("train_loss", loss, batch)
        return self.weighted(loss, batch)

    def configure_optimizers(self) -> Any:
        """Adam, and a learning rate halved after each epoch."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.settings.lr, weight_decay=self.settings.wd)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)]

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Clip each entry of the gradient to ±1."""
        nn.utils.clip_grad_value_(self.parameters(), clip_value=1.0)

    def on_train_epoch_end(self) -> None:
        """Halve the learning rate."""
        scheduler: Any = self.lr_schedulers()
        scheduler.step()

    def _go_graph(self) -> NamedGraph:
        settings = self.settings
        graph = read_graph(settings.go_graph, settings.similar_genes_go)
        known = set(graph.names)
        lacking = [token for token in self.vocabulary.perturbations if token not in known]
        if lacking and not settings.isolated_tokens:
            raise InputError(
                f"The graph lacks {len(lacking):,} perturbations: {some(lacking)}",
                where=settings.go_graph,
                fix="Leave their cells out of the split, as the published run did, or set isolated_tokens.",
            )
        return graph.with_isolated(lacking)

    def _summarise(self, data: GearsData) -> None:
        settings = self.settings
        graph = coexpression_graph(
            data.correlations, settings.similar_genes_coexpression, settings.coexpression_threshold
        )
        self.gene_sources.copy_(torch.from_numpy(graph.sources))
        self.gene_weights.copy_(torch.from_numpy(graph.weights))
        self.control_mean.copy_(torch.from_numpy(data.control_mean))
        self.expressed.copy_(torch.from_numpy(data.expressed))

    def _build(self, n_nodes: int) -> None:
        """The network for a graph of so many perturbations, whose edges are not yet known."""
        settings, device = self.settings, self.control_mean.device
        self.register_buffer("go_sources", torch.full((n_nodes, settings.similar_genes_go + 1), -1, device=device))
        self.register_buffer("go_weights", torch.zeros(n_nodes, settings.similar_genes_go + 1, device=device))
        none, weightless = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0)
        self.network = self._package.GEARS_Model(
            {
                "num_genes": len(self.vocabulary.genes),
                "num_perts": n_nodes,
                "hidden_size": settings.hidden_size,
                "num_go_gnn_layers": settings.go_layers,
                "num_gene_gnn_layers": settings.gene_layers,
                "decoder_hidden_size": settings.decoder_hidden_size,
                "uncertainty": False,
                "no_perturb": False,
                "device": "cpu",
                **{"G_coexpress": none, "G_coexpress_weight": weightless, "G_go": none, "G_go_weight": weightless},
            }
        ).to(device)
        if settings.coexpression_for_every_cell:
            layers = [OnceForAllCells(layer, len(self.vocabulary.genes)) for layer in self.network.layers_emb_pos]
            self.network.layers_emb_pos = nn.ModuleList(layers)

    def _run(self, controls: Tensor, perturbations: Tensor) -> Tensor:
        # Batch normalisation cannot train on one cell: it goes twice, as a lone perturbation in the package does.
        alone = self.training and len(controls) == 1
        if alone:
            controls, perturbations = controls.repeat(2, 1), perturbations.repeat(2, 1)
        network = self.network
        network.args["device"] = controls.device
        network.G_coexpress, network.G_coexpress_weight = edge_list(self.gene_sources, self.gene_weights)
        network.G_sim, network.G_sim_weight = edge_list(self.go_sources, self.go_weights)
        nodes = [self.token_nodes[row].tolist() or [-1] for row in perturbations.bool()]
        cells = SimpleNamespace(
            x=controls.reshape(-1, 1), pert_idx=nodes, batch=torch.arange(len(controls), device=controls.device)
        )
        with warnings.catch_warnings():
            # A batch of controls alone: the package transposes its empty list of perturbations.
            warnings.filterwarnings("ignore", message="The use of `x.T` on tensors")
            predicted: Tensor = network(cells)
        return predicted[:1] if alone else predicted


class OnceForAllCells(nn.Module):
    """A graph layer whose input repeats the same genes for each cell: computed once, then repeated.

    Args:
        layer: the graph layer of one cell.
        n_genes: rows of one cell.
    """

    def __init__(self, layer: nn.Module, n_genes: int) -> None:
        super().__init__()
        self.layer, self.n_genes = layer, n_genes

    def forward(self, rows: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        """Rows (cells · genes × width) to rows."""
        one: Tensor = self.layer(rows[: self.n_genes], edges, weights)
        return one.repeat(len(rows) // self.n_genes, 1)
