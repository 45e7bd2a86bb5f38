"""When a training pays."""

from pydantic import Field

from components.settings import Settings


class RetrainConfig(Settings):
    """What must be new since the model that serves for a run to train, where it looks first."""

    if_changed: bool = Field(
        False,
        description="look first whether there is anything new to learn, and end the run with the "
        "verdict unchanged where there is not; what --if-changed sets",
    )
    force: bool = Field(
        False,
        description="train whatever is found, and tell what was found; what --force sets",
    )
    min_images: int = Field(
        1,
        ge=1,
        description="fewest images of train and val that are new, relabelled or gone, all together",
    )
    min_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="least share of them, of the images that the model that serves has learnt "
        "from; a training pays where both this and min_images are reached",
    )
    max_label_drift: float | None = Field(
        0.05,
        ge=0,
        description="greatest change of a class's share of the training images (TFDV's L-infinity "
        "distance) at which none pays, whatever the number of images; null: any",
    )
    max_feature_drift: float | None = Field(
        0.1,
        ge=0,
        description="the same of each other feature and column, by TFDV's Jensen-Shannon "
        "divergence of numbers and L-infinity distance of words; null: any",
    )
    on_code_change: bool = Field(
        True,
        description="train where the code, the libraries or the weights' file are other ones, as "
        "is done where the settings of transform or trainer are",
    )
