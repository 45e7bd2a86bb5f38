"""Settings of the schema and of the check before training."""

from typing import Literal

from pydantic import Field

from components.settings import Settings


class SchemaConfig(Settings):
    """What the data must look like, and what happens when it does not."""

    path: str | None = Field(
        None,
        description="a curated schema (schema.pbtxt); null: the one kept with the model that "
        "serves, or on the first run the one inferred",
    )
    on_anomaly: Literal["stop", "warn"] = Field(
        "stop", description="stop ends the run before Transform, with status 2"
    )
    min_images_per_class: int = Field(
        5, ge=1, description="fewest training images that a class may have"
    )
