"""The process that runs the pipeline on this machine, by TFX's LocalDagRunner.

The command starts it apart from itself: it stays light and answers at once, the libraries'
output goes to the run's log, and it can tell how this process ended.
"""

import argparse
import contextlib
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import flags
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components import run_events
from components.retrain_check.component import RetrainCheck
from components.run_report import parts
from pipeline import metadata, node_events
from pipeline.build import Locations, create_pipeline
from pipeline.clean import clear_strange_artifacts
from pipeline.config import PipelineConfig
from pipeline.digests import file_digest
from pipeline.failures import failed_outcome
from pipeline.layout import Output, RunFolder
from pipeline.masked_log import passwords_masked
from pipeline.options import effective_config
from pipeline.outcome import ended_early, keep_search, read_outcome, tell_again
from pipeline.progress import read_events
from pipeline.summary import Outcome


def main() -> None:
    """Runs one pipeline and leaves its outcome, whatever becomes of it, in the run's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True, help="the output folder")
    parser.add_argument("--run-id", required=True, help="names the run's folder, which is there")
    parser.add_argument("--data", required=True, help="the images; may hold {SPAN} or a date")
    arguments = parser.parse_args()
    output = Output.at(arguments.output)
    run = output.run(arguments.run_id)
    bound_beam_batches()
    try:
        outcome = run_pipeline(output, run, arguments.data)
    except Exception as error:
        traceback.print_exc()
        outcome = failed_outcome(error)
    outcome.write(run)
    sys.exit(0 if outcome.error is None else 1)


def run_pipeline(output: Output, run: RunFolder, data: str) -> Outcome:
    """Runs the pipeline by the configuration in the run's folder.

    Raises:
        InputError: if the data can't be trained on.
    """
    config = effective_config(run.config)
    connection = metadata.connection_config(config.metadata, output.metadata)
    _keep_apart(output, config, connection)
    pipeline = create_pipeline(config, _locations(config, output, data), run.id, connection)
    try:
        with _temporary_files_in(output.scratch):
            run_dag(pipeline, run.id, lambda: ended_early(metadata.run_outputs(connection, run.id)))
    finally:
        outputs = metadata.run_outputs(connection, run.id)
        uris = {artifact.uri for artifacts in outputs.values() for artifact in artifacts}
        run_events.record("artifacts", uris=sorted(uris))
        tell_again(outputs, read_events(run.events))
        keep_search(outputs, run)
        for uri in sorted(uris):  # of nodes that were taken from the cache, too
            parts.tell_again(uri)
    return read_outcome(config, outputs)


def _keep_apart(
    output: Output, config: PipelineConfig, connection: metadata_store_pb2.ConnectionConfig
) -> None:
    newest = metadata.newest_execution(connection)
    if clear_strange_artifacts(output, config.metadata.url, newest):
        run_events.warn(
            "the metadata store is not the one that earlier runs were recorded in: their "
            "artifacts were removed, and every node runs anew"
        )


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """TFX and Beam put what they unpack and shuffle where tempfile says."""
    folder.mkdir(exist_ok=True)
    former, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = former


def _locations(config: PipelineConfig, output: Output, data: str) -> Locations:
    accepted = output.accepted_schema(config.serving.model_name)
    schema = config.data_schema.path or (str(accepted) if accepted.is_file() else "")
    return Locations(
        data=data,
        model_dir=str(output.serving(config.serving.model_name)),
        artifacts=str(output.artifacts),
        checkpoints=str(output.checkpoints),
        schema_file=schema,
        schema_digest=file_digest(schema),
    )


def run_dag(
    pipeline: Pipeline, run_id: str, ended_early: Callable[[], bool] = lambda: False
) -> None:
    """Runs a pipeline by LocalDagRunner under an id of ours, telling each node's state.

    Args:
        pipeline: what to run.
        run_id: its name in the metadata store.
        ended_early: asked behind RetrainCheck, if it is there; what follows then doesn't run.
    """
    ir = compiler.Compiler().compile(pipeline)
    # The runner would name the run by the time; ours is how its outputs are found again.
    runtime_parameter_utils.substitute_runtime_parameter(
        ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    nodes = [node.pipeline_node.node_info.id for node in ir.nodes]
    run_events.record("plan", nodes=nodes)
    with passwords_masked(), node_events.recorded():
        for piece in _pieces(ir, nodes):
            LocalDagRunner().run_with_ir(piece)
            if ended_early():
                return


def _pieces(ir: pipeline_pb2.Pipeline, nodes: list[str]) -> list[pipeline_pb2.Pipeline]:
    """Cuts a pipeline behind RetrainCheck: the runner knows no end but an error."""
    if RetrainCheck.__name__ not in nodes:
        return [ir]
    cut = nodes.index(RetrainCheck.__name__) + 1
    pieces = []
    for others in (slice(cut, None), slice(None, cut)):
        piece = pipeline_pb2.Pipeline()
        piece.CopyFrom(ir)
        del piece.nodes[others]
        pieces.append(piece)
    return pieces


def bound_beam_batches() -> None:
    """Makes TFX's readers batch by bytes: batches that grow by time fill memory with images."""
    flags.FLAGS([sys.argv[0], "--tfxio_use_byte_size_batching"])


if __name__ == "__main__":
    main()
