"""What TFX hands to a training, read once."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Self

import tensorflow_transform as tft

from components import features
from components.errors import DataError
from trainer.backbones.catalogue import BACKBONES
from trainer.config import TrainConfig, TransformConfig, resolve_image_size
from trainer.input_pipeline import ExampleIndex, index_examples


@dataclass(frozen=True)
class Data:
    """What there is to train on: class names in order of the class index, and two splits."""

    labels: list[str]
    train: ExampleIndex
    val: ExampleIndex


@dataclass(frozen=True)
class Task:
    """One training, or one search of trainings.

    Attributes:
        config: of the training; where a search has chosen a member, with that member.
        transform: how the images were transformed.
        base_model: the model that serves now; None where none is to be begun from.
        checkpoints: folder, or address on S3 or GCS, of what interrupted trainings go on from.
        digests: of code and files, which tell trainings apart beside their settings.
    """

    config: TrainConfig
    transform: TransformConfig
    base_model: str | None
    checkpoints: str
    digests: tuple[str, ...]

    @classmethod
    def of(cls, fn_args: Any) -> Self:
        """Reads TFX's FnArgs.

        Of its custom_config, `train_config` and `transform_config` are the JSON of TrainConfig
        and TransformConfig, `checkpoints` is a folder or an address, `code_digest` and
        `weights_digest` tell the code and a file of weights apart.
        """
        given = fn_args.custom_config
        task = cls(
            config=TrainConfig.parse_json(given["train_config"]),
            transform=TransformConfig.parse_json(given["transform_config"]),
            base_model=fn_args.base_model,
            checkpoints=given["checkpoints"],
            digests=(given["code_digest"], given["weights_digest"]),
        )
        chosen = getattr(fn_args, "hyperparameters", None)
        return task.with_member(**chosen["values"]) if chosen else task

    def with_member(self, backbone: str, weights: str) -> Self:
        """Returns the training of another member, at its own resolution or that of the images."""
        made = resolve_image_size(self.transform, self.config)
        size = min(BACKBONES[backbone].image_size, made)
        config = self.config.model_copy(
            update={"backbone": backbone, "weights": weights, "image_size": size}
        )
        return replace(self, config=config)

    def checkpoint_folder(self, data: Data) -> str:
        """Returns a folder for this very training: TFX gives a node that runs again other ones."""
        return self._folder(data, self.config.model_dump_json(exclude={"search", "label_check"}))

    def search_folder(self, data: Data) -> str:
        """Returns a folder for this very search."""
        return self._folder(data, self.config.model_dump_json(exclude={"label_check"}))

    def _folder(self, data: Data, config: str) -> str:
        facts = [
            config,
            self.transform.model_dump_json(),
            *self.digests,
            str(self.base_model),
            *data.labels,
        ]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for index in (data.train, data.val):
            digest.update("\n".join(index.files).encode())
            for array in (index.rows, index.labels, index.image_keys):
                digest.update(array.tobytes())
        return f"{self.checkpoints}/{digest.hexdigest()[:32]}"


def read_data(fn_args: Any) -> Data:
    """Reads class names, labels and ids, no pixels yet.

    Raises:
        DataError: there is nothing that can be trained on.
    """
    labels = _read_labels(fn_args.transform_graph_path)
    train = index_examples(fn_args.train_files, features.TRAIN)
    val = index_examples(fn_args.eval_files, features.VAL)
    check_labels(labels, train, val)
    return Data(labels, train, val)


def check_labels(labels: list[str], train: ExampleIndex, val: ExampleIndex) -> None:
    """Refuses classes that can't be trained or judged.

    Raises:
        DataError: naming them.
    """
    if len(labels) < 2:
        raise DataError(
            f"the train split has one class only ({', '.join(labels)}): two or more are needed"
        )
    trained = set(train.labels.tolist())
    empty = [label for number, label in enumerate(labels) if number not in trained]
    if empty:
        raise DataError(f"classes without training images: {', '.join(empty)}")
    unknown = int((val.labels < 0).sum())
    if unknown:
        raise DataError(
            f"{unknown} images of the val split have a class that the train split has not"
        )


def _read_labels(transform_graph_path: str) -> list[str]:
    """Class names in order of the class index."""
    output = tft.TFTransformOutput(transform_graph_path)
    return [name.decode() for name in output.vocabulary_by_name(features.VOCABULARY)]
