"""Pushes a blessed model as a version that is complete before it is visible."""

import datetime
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, proto_utils

from components.model_versions import CARD_FACT, PushWithheldError, versions_at
from components.pusher.card import card_facts, measured
from components.pusher.inference_service import go_live
from components.pusher.kept import BASELINE, Inputs, kept_files
from components.pusher.kubernetes_config import KubernetesConfig
from components.run_report import model_card
from components.run_report.parts import tried
from components.serving_baseline.executor import judged_state

NEW_PROPERTY = "newly_pushed"  # 0 where an earlier run has pushed this very model
DESTINATION_PROPERTY = "pushed_destination"  # TFX's own name for it
WITHHELD_PROPERTY = "withheld"  # why a blessed model was not pushed
SCHEMA = "schema"
FACTS = "facts"  # these three within custom_config
KEEP = "keep"
CARD = "card"
RUN = "run_id"  # within the facts
KUBERNETES = "kubernetes"


class Executor(tfx_executor.Executor):
    """TFX's own copies in place, so a kill leaves a broken highest version behind."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Publishes the model with its schema, if every blessing is there, and has it served.

        What serves must still be what the model was judged against, and no hold be set; else the
        artifact says why nothing was pushed.

        Raises:
            pydantic.ValidationError: if the cluster's settings can't be read. Nothing is published.
            ClusterError, RolloutError: if the cluster doesn't serve it, as `go_live` tells.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        )
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination
        )
        config = json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        schema_dir = artifact_utils.get_single_uri(input_dict[SCHEMA])
        versions = versions_at(destination.filesystem.base_directory)
        # Before anything is visible: nobody would take it out of sight again.
        kubernetes = exec_properties.get(KUBERNETES)
        settings = KubernetesConfig.parse_json(kubernetes) if kubernetes else None
        model = Path(self.GetModelPath(input_dict))
        card = _card(input_dict, model, config)
        try:
            version, new = versions.publish(
                model,
                schema=Path(io_utils.get_only_uri_in_dir(schema_dir)),
                facts=_facts(input_dict, config, has_card=bool(card)),
                expected=judged_state(artifact_utils.get_single_instance(input_dict[BASELINE])),
                extra={**kept_files(input_dict, model), **card},
            )
            # A task that is tried again finds what its former attempt has published.
            new = new or version.facts.get(RUN) == config[FACTS][RUN]
        except PushWithheldError as error:
            self._MarkNotPushed(pushed)
            pushed.set_string_custom_property(WITHHELD_PROPERTY, str(error))
            return
        if settings is not None:
            go_live(settings, version, new)
        if new and config[KEEP] is not None:
            # Only now: a rollout that fails goes back to the former version's files.
            versions.remove_old(config[KEEP])
        self._MarkPushed(pushed, version.address, str(version.number))
        pushed.set_int_custom_property(NEW_PROPERTY, int(new))


def _facts(inputs: Inputs, config: dict[str, Any], has_card: bool) -> dict[str, Any]:
    """Returns what is recorded with the version."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    facts = {**config[FACTS], "pushed_at": now, "metrics": measured(inputs)[0]}
    return {**facts, CARD_FACT: model_card.FILE} if has_card else facts


def _card(inputs: Inputs, model: Path, config: dict[str, Any]) -> dict[str, bytes]:
    """Returns the card by its file's name; nothing where it can't be made."""
    return tried(
        "the version has no model card",
        lambda: {
            model_card.FILE: model_card.render(
                card_facts(inputs, model, config[CARD], config[FACTS])
            ).encode()
        },
        {},
    )
