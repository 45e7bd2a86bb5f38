"""Executor of Tuner."""

from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.tuner import executor as tfx_executor
from tfx.types import artifact_utils, standard_component_specs


class Executor(tfx_executor.Executor):
    """Runs the search as TFX does, and lets the tuner keep more than TFX would write."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches, by the tuner that `tuner_fn` returns: it has `keep(folder)` and `forget()`.

        Raises:
            InputError: no member can be used.
        """
        tuner = tfx_executor.search(
            input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False
        )
        results = artifact_utils.get_single_uri(
            output_dict[standard_component_specs.TUNER_RESULTS_KEY]
        )
        tuner.keep(Path(results))
        tfx_executor.write_best_hyperparameters(tuner, output_dict)
        tuner.forget()
