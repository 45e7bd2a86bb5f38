"""What a model's card says that only people know."""

from pydantic import Field

from components.settings import Settings


class CardConfig(Settings):
    """Words for the card that lies beside each pushed model."""

    intended_use: str | None = Field(
        None, description="what the model is for, and who uses it; null: told from its classes"
    )
    limits: str | None = Field(
        None, description="what it must not be used for; told beside the limits that are measured"
    )
    owner: str | None = Field(None, description="who answers for it")
    contact: str | None = Field(None, description="where to ask: an address or a channel")
    licence: str | None = Field(None, description="of the model, with that of its images in mind")
