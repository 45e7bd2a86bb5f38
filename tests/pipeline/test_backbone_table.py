import io

from rich.console import Console

from pipeline.backbone_table import backbone_table
from trainer.backbones.catalogue import BACKBONES


def test_every_member_has_a_line_that_fits_a_terminal():
    stream = io.StringIO()
    Console(file=stream, width=80).print(backbone_table())
    lines = stream.getvalue().splitlines()
    for info in BACKBONES.values():
        (line,) = [line for line in lines if line.startswith(f"{info.name} ")]
        assert f" {info.image_size} " in line
        assert f" {info.top1:.1f} " in line
        assert line.rstrip().endswith("package" if info.package else "download")
