"""Accuracy against size, as in the figure that the family became known by."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainer.step_up import Trial


def plot(trials: Sequence[Trial], path: Path) -> None:
    """Draws val accuracy over parameters as a PNG, a line for each set of weights."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for weights in dict.fromkeys(trial.weights for trial in trials):
        done = [
            (trial.parameters, trial.val_accuracy, trial.backbone.removeprefix("efficientnet-"))
            for trial in trials
            if trial.weights == weights and trial.parameters and trial.val_accuracy is not None
        ]
        axes.plot([x for x, _, _ in done], [y for _, y, _ in done], marker="o", label=weights)
        for x, y, name in done:
            axes.annotate(name, (x, y), xytext=(6, 6), textcoords="offset points")
    axes.set_xscale("log")
    axes.minorticks_off()
    sizes = sorted({trial.parameters for trial in trials if trial.parameters})
    axes.set_xticks(sizes, [f"{size:.1f}" for size in sizes])
    axes.set_xlabel("parameters, millions")
    axes.set_ylabel("accuracy on val")
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    axes.legend(title="weights")
    figure.savefig(path, dpi=120)
