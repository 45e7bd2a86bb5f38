"""Keeps in memory what the folders hold: the version that serves, of each model."""

import asyncio
import concurrent.futures
import gc
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from kserve import ModelRepository

from components.features import EXTRA
from components.model_server.batcher import Batcher
from components.model_server.config import ServerConfig
from components.model_server.servable import Servable
from components.model_server.served_model import Failed, ServedModel
from components.model_versions import Version, serving_version

# What could not be loaded is tried again: memory may have been short.
_AGAIN_SECONDS = 60.0
_LOG = logging.getLogger(__name__)
# Names, inodes, sizes and times of a version's files: another mark is another version.
_Mark = tuple[tuple[str, int, int, int], ...]


class Watcher(threading.Thread):
    """Looks at the folders again and again; loads beside what answers."""

    def __init__(
        self,
        config: ServerConfig,
        repository: ModelRepository,
        loop: asyncio.AbstractEventLoop,
        looked: Callable[[bool], None],
    ) -> None:
        """Takes where models are kept, and whom to tell after every look.

        Args:
            config: names the folder.
            repository: KServe's; models that appear are added to it.
            loop: in which versions change places.
            looked: called in the loop; False if there were versions and none could be loaded.
        """
        super().__init__(name="watcher", daemon=True)
        self._config, self._repository, self._loop = config, repository, loop
        self._looked = looked
        self._readers = concurrent.futures.ThreadPoolExecutor(4, "reader")
        self._marks: dict[str, _Mark] = {}  # Of what was last loaded, or could not be.
        self._serving_marks: dict[str, _Mark] = {}
        self._again: dict[str, float] = {}  # When to try what could not be loaded.
        self._told: set[str] = set()
        self._replaced = False
        self._end = threading.Event()

    def stop(self) -> None:
        """Ends the thread after the look that it is at."""
        self._end.set()

    def run(self) -> None:
        """Looks until it is stopped."""
        while not self._end.is_set():
            try:
                self._look()
            except OSError as error:
                self._tell("", f"can't read {self._config.models}: {error}")
            except Exception:
                _LOG.exception("looking at %s", self._config.models)
            models = self._repository.get_models().values()
            good = any(model.serving for model in models) or not models
            self._loop.call_soon_threadsafe(self._looked, good)
            self._end.wait(self._config.poll_seconds)

    def _look(self) -> None:
        if self._replaced:
            gc.collect()  # Graphs are cycles; the old version's memory is wanted back.
            self._replaced = False
        seen = set()
        for name, folder in model_folders(self._config.models).items():
            try:
                version = serving_version(folder)
                if version is None:
                    continue
                self._follow(name, version)
            except OSError as error:
                self._tell(name, f"model {name} can't be looked at, what it has stays: {error}")
            else:
                self._told -= {name, ""}
            seen.add(name)
        if not seen and not self._serving_marks:
            self._tell("", f"no version of a model in {self._config.models} yet: waiting for one")
        for name in self._serving_marks.keys() - seen:
            self._tell(name, f"model {name} has no version any more: the one in memory stays")

    def _follow(self, name: str, version: Version) -> None:
        """Loads a version, unless it serves already or failed as it is."""
        model = self._repository.get_model(name)
        if model is None:
            model = ServedModel(name, self._config, self._readers)
            self._repository.update(model)
        mark = _mark(version.path)
        if mark == self._serving_marks.get(name):
            model.failed = None
            self._marks[name] = mark
        elif mark != self._marks.get(name) or time.monotonic() > self._again.get(name, math.inf):
            self._marks[name] = mark
            self._again.pop(name, None)
            self._load(model, version, mark)

    def _load(self, model: ServedModel, version: Version, mark: _Mark) -> None:
        model.loading, model.failed = version.number, None
        _LOG.info("model %s: loading version %d", model.name, version.number)
        try:
            batcher = Batcher(
                model.name,
                Servable(version),
                max_images=self._config.max_batch,
                max_pixels=self._config.max_pixels,
                max_waiting=self._config.max_waiting,
            )
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            model.failed = Failed(version.number, why)
            self._again[model.name] = time.monotonic() + _AGAIN_SECONDS
            stays = "; the one in memory stays" if model.serving else ""
            _LOG.error(
                "model %s: version %d can't be loaded%s: %s",
                model.name, version.number, stays, why,
            )  # fmt: skip
        else:
            self._serving_marks[model.name] = mark
            installed = concurrent.futures.Future[None]()
            self._loop.call_soon_threadsafe(_install, model, batcher, installed)
            installed.result()
            self._replaced = True
            _LOG.info("model %s: version %d answers", model.name, version.number)
        finally:
            model.loading = None

    def _tell(self, name: str, message: str) -> None:
        """Logs what lasts only once."""
        if name not in self._told:
            self._told.add(name)
            _LOG.warning("%s", message)


def model_folders(models: Path) -> dict[str, Path]:
    """Finds what may be the folders of models.

    Args:
        models: one model's folder of numbered versions, or a folder of such folders.

    Returns:
        Folders by the names of models, which are theirs.
    """
    if serving_version(models) is not None:
        return {models.resolve().name: models}
    return {name: models / name for name in sorted(os.listdir(models)) if name[0] != "."}


def _install(
    model: ServedModel, batcher: Batcher, installed: "concurrent.futures.Future[None]"
) -> None:
    model.install(batcher)
    installed.set_result(None)


def _raise(error: OSError) -> None:
    """Half a listing must not pass for another version."""
    raise error


def _mark(folder: Path) -> _Mark:
    """Marks the files that make a version; not those beside it, which tell about it."""
    found = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if name != EXTRA)
        for name in sorted(files):
            facts = os.stat(os.path.join(root, name))
            file = os.path.relpath(os.path.join(root, name), folder)
            found.append((file, facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(found)
