"""Packages of a few shell commands, for the tests of the backend itself."""

from pathlib import Path
from typing import Any

import yaml

from tests.kfp_backend.package import Package, read_package

ARTIFACT = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
STRING = {"parameterType": "STRING"}


class Draft:
    """A package in the making."""

    def __init__(self, **parameters: Any) -> None:
        self.tasks: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.placements: dict[str, Any] = {}
        self.spec: dict[str, Any] = {
            "schemaVersion": "2.1.0",
            "sdkVersion": "tfx",
            "pipelineInfo": {"name": "drafted"},
            "root": {"dag": {"tasks": self.tasks}, "inputDefinitions": {"parameters": parameters}},
            "components": {},
            "deploymentSpec": {"executors": self.executors},
        }

    def task(
        self,
        name: str,
        script: str,
        arguments: tuple[str, ...] = (),
        inputs: dict[str, Any] | None = None,
        definitions: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
        dag: dict[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        """Adds a task that runs a shell script, to the root or to a nested DAG's tasks."""
        self.executors[f"exec-{name}"] = {
            "container": {"image": "an-image", "command": ["sh", "-c", script, *arguments]}
        }
        self.spec["components"][f"comp-{name}"] = {
            "executorLabel": f"exec-{name}",
            "inputDefinitions": definitions or {},
            "outputDefinitions": outputs or {},
        }
        (self.tasks if dag is None else dag)[name] = {
            "componentRef": {"name": f"comp-{name}"},
            "taskInfo": {"name": name},
            "inputs": inputs or {},
            **spec,
        }

    def package(self, folder: Path) -> Package:
        documents = [self.spec]
        if self.placements:
            placements = {"deploymentSpec": {"executors": self.placements}}
            documents.append({"platforms": {"kubernetes": placements}})
        file = folder / "package.yaml"
        file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        return read_package(file)
