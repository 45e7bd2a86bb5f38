"""TFX components of the pipeline, one folder each, and the contracts that they share."""
