"""Settings that several tests share."""

# Of AugmentationConfig: every change that is on by default, or may be, is off.
OFF = {
    "horizontal_flip": False,
    "vertical_flip": False,
    "rotation": 0,
    "zoom": 0,
    "translation": 0,
    "contrast": 0,
    "brightness": 0,
}
