"""Errors that a user can mend, told apart from faults.

EffnetError
|-- InputError          what was given is wrong: exit status 2
|   |-- ConfigError     the configuration
|   |-- DataError       the images, their labels or their schema
|   |-- OutputError     the output folder: not writable, or taken by another run
|   `-- ClusterError    the cluster: no access, lacking rights, no KServe
|-- RolloutError        the cluster did not take a version into service: exit status 1
`-- TrainingJobError    the cluster's workers did not train a model: exit status 1
Every other exception is a fault: exit status 1.

A message is one paragraph: what was received, what is allowed, how to mend it.
"""


class EffnetError(Exception):
    """Base of the project's own errors."""


class InputError(EffnetError):
    """What the user gave can't be used as it is."""


class ConfigError(InputError):
    """A setting is unknown, malformed or out of range."""


class DataError(InputError):
    """The data can't be trained on: missing, malformed, or against its schema."""


class OutputError(InputError):
    """The output folder can't be used."""


class ClusterError(InputError):
    """The cluster can't be used as it is set: no access, lacking rights, no KServe."""


class RolloutError(EffnetError):
    """A version was not taken into service by the cluster."""


class TrainingJobError(EffnetError):
    """The workers that a cluster was asked for did not train a model."""
