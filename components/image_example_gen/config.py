"""Settings of ingestion and of the splits."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.settings import Settings


class FieldNames(Settings):
    """Names of CSV columns or TFRecord features that carry what the pipeline needs."""

    image: str = Field("image", description="image path (CSV) or image bytes (TFRecord)")
    label: str = Field("label", description="class name, or class index with data.class_names")
    split: str | None = Field(
        None, description="official split (train, val, test); by default 'split', if that is there"
    )
    group: str | None = Field(
        None, description="images of one group share a split; by default 'group', if that is there"
    )


class DataConfig(Settings):
    """Where labelled images come from and which of them are taken."""

    layout: Literal["auto", "folders", "split_folders", "csv", "tfrecord"] = Field(
        "auto", description="how the data lies: auto tells it by looking"
    )
    manifest: str | None = Field(
        None, description="CSV file below the data path; by default the only *.csv there"
    )
    fields: FieldNames = Field(FieldNames(), description="column or feature names")
    class_names: tuple[str, ...] | None = Field(
        None, description="names of integer labels, in order of the index"
    )
    span: str | None = Field(
        None, description="value of {SPAN} or of the date in the data path; by default the newest"
    )
    max_pixels: int = Field(50_000_000, gt=0, description="images of more pixels are set aside")
    max_bytes: int = Field(50_000_000, gt=0, description="files of more bytes are set aside")
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="a larger share of images set aside ends the run"
    )
    near_duplicate_distance: int | None = Field(
        32,
        ge=0,
        le=40,
        description="images look the same if their perceptual hashes differ in at most so many of "
        "256 bits; more find more crops, and more images that are merely alike; null: don't look",
    )


class SplitsConfig(Settings):
    """Shares of the splits where the data brings none of its own."""

    train: float = Field(0.7, gt=0, lt=1, description="share of images (or groups) to train on")
    val: float = Field(0.1, gt=0, lt=1, description="share to choose epochs and members by")
    test: float = Field(0.2, gt=0, lt=1, description="share that the gate judges on")
    salt: str = Field("", description="another salt gives other splits; changing it moves images")

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, received {total:g}")
        return self
