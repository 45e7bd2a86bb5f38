"""Which activations a stage trains on: cached where they can be, shared between stages."""

from collections.abc import Iterable

import numpy as np

from components import features
from trainer.activation_cache import (
    Activations,
    CachedActivations,
    FreshActivations,
    FrozenPart,
    compute_activations,
    load_pixels,
)
from trainer.array_store import ArrayStore
from trainer.config import AugmentationConfig, StageConfig, TrainConfig
from trainer.input_pipeline import ExampleIndex, read_some
from trainer.model import Classifier

_VAL = "val"


class ActivationSource:
    """Activations of the train and val splits at the cuts of the stages.

    What lies below the lowest cut of all stages never changes, so that one cache there serves all
    stages of the same augmentation; a stage that cuts higher has the rest computed once more on
    top of it. A stage that trains everything reads pixels, and leaves no cache valid.
    """

    def __init__(
        self,
        classifier: Classifier,
        train: ExampleIndex,
        val: ExampleIndex,
        classes: int,
        config: TrainConfig,
    ) -> None:
        """Takes the network and the two splits; nothing is computed yet."""
        self._classifier = classifier
        self._train, self._val = train, val
        self._classes = classes
        self._config = config
        cuts = [config.trained_blocks(s) for s in config.stages if s.train != "all"]
        self._lowest = max(cuts, default=0)
        self._cached: dict[str, CachedActivations] = {}
        self._pixels: ArrayStore | None = None

    def at(self, stage: StageConfig) -> tuple[Activations, Activations]:
        """Returns train and val activations at a stage's cut.

        Raises:
            OSError: they don't fit on the disk.
        """
        cut = self._config.trained_blocks(stage)
        augmentation = self._config.augmentation_of(stage)
        if stage.train == "all":
            return self._fresh(augmentation, cut), self._compute(self._val, cut)
        val = self._raised(self._at_lowest(None), cut)
        if augmentation.views is None:
            return self._fresh(augmentation, cut), val
        return self._raised(self._at_lowest(augmentation), cut), val

    def forget(self) -> None:
        """Drops what was computed by weights that have changed since."""
        self._cached.clear()

    def pooled(self, split: str, rows: np.ndarray, pretrained: Classifier) -> np.ndarray:
        """Returns the pooled features of some images, as the first weights make them.

        What is cached spares the lower part of the network; the upper one has changed since.

        Args:
            split: train or val.
            rows: int64 [images], ascending.
            pretrained: the network as it was before the first stage.

        Returns:
            float32 [images, channels].
        """
        index = self._val if split == features.VAL else self._train
        judges = split == features.VAL
        # What is cached after a stage that trained everything is of other weights.
        unchanged = all(stage.train != "all" for stage in self._config.stages)
        cached = [
            found for key, found in self._cached.items() if (key == _VAL) == judges and unchanged
        ]
        batches: Iterable[tuple[np.ndarray, np.ndarray]]
        if not cached:
            part = FrozenPart(pretrained.lower(0))
            batches = read_some(index, rows, self._config.batch_size)
        else:
            part = FrozenPart(pretrained.between(self._lowest, 0))
            starts = range(self._config.batch_size, len(rows), self._config.batch_size)
            batches = ((some, cached[0].unaugmented(some)) for some in np.split(rows, starts))
        found = np.empty((len(rows), part.model.output.shape[-1]), np.float32)
        for some, inputs in batches:
            found[np.searchsorted(rows, some)] = part(inputs)
        return found

    def _at_lowest(self, augmentation: AugmentationConfig | None) -> CachedActivations:
        """The train split under an augmentation, or the val split without one."""
        key = augmentation.model_dump_json() if augmentation else _VAL
        if key not in self._cached:
            # Only val is kept beside them: two augmentations at once would double the memory.
            self._cached = {k: v for k, v in self._cached.items() if _VAL in (k, key)}
            split = self._train if augmentation else self._val
            self._cached[key] = self._compute(split, self._lowest, augmentation)
        return self._cached[key]

    def _compute(
        self, split: ExampleIndex, cut: int, augmentation: AugmentationConfig | None = None
    ) -> CachedActivations:
        return compute_activations(
            split,
            self._classes,
            FrozenPart(self._classifier.lower(cut)),
            self._config.cache,
            self._config.batch_size,
            augmentation,
            self._config.seed,
        )

    def _raised(self, activations: CachedActivations, cut: int) -> CachedActivations:
        if cut == self._lowest:
            return activations
        return activations.through(FrozenPart(self._classifier.between(self._lowest, cut)))

    def _fresh(self, augmentation: AugmentationConfig, cut: int) -> FreshActivations:
        if self._pixels is None:
            self._pixels = load_pixels(self._train, self._config.cache, self._config.batch_size)
        part = FrozenPart(self._classifier.lower(cut))
        return FreshActivations(
            self._pixels, self._train, self._classes, part, augmentation, self._config.seed
        )
