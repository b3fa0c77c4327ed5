"""A running service takes over the model that a registry's pointer names, and keeps its own where it cannot."""

from __future__ import annotations

import logging
import math
import threading
import time
from pathlib import Path

from model.classifier import ThemeClassifier
from model.errors import ArtifactError, ConfigError, ThemewatchError
from model.registry import Registry
from serve.api.logs import told
from serve.api.service import Service

LOG = logging.getLogger("themewatch.serve")
_POLL = 1.0  # seconds between two looks at the pointer: a file of one line
_RETRY = 60.0  # seconds before a model that could not be loaded is tried again
_END = 10.0  # seconds that stopping waits for a load in work


def warm_classifier(folder: Path | None) -> ThemeClassifier:
    """A model that has answered before: no request pays for what an engine does only once.

    Args:
        folder: a model folder; None for the released model.

    Raises:
        ThemewatchError: it cannot be loaded, or gives no numbers.
    """
    classifier = ThemeClassifier.load(folder)
    results = classifier.predict([theme.definition for theme in classifier.artifact.taxonomy.themes])
    if not all(math.isfinite(logit) for result in results for logit in result.logits.values()):
        raise ArtifactError("its scores are no numbers", where=folder, remedy="train it again")
    return classifier


def promoted(registry: Registry) -> str:
    """The name of the registry's promoted model; empty before the first promotion.

    Raises:
        ConfigError: the registry cannot be read.
    """
    try:
        return registry.current()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its pointer is damaged"
        raise ConfigError(
            f"cannot read the registry: {reason}", where=registry.folder,
            remedy="repair it, or choose another with --registry or a model with --model",
        ) from error  # fmt: skip


class Follower:
    """Watches a registry's pointer; loads, warms and hands over what it names, while the old model answers.

    Args:
        serving: the name of the registry's model that the service answers with now; empty for none of it.
        poll: seconds between two looks.
        retry: seconds before a model that could not be loaded is tried again.
    """

    def __init__(
        self, registry: Registry, service: Service, serving: str, *, poll: float = _POLL, retry: float = _RETRY
    ) -> None:
        self._registry, self._service, self._serving = registry, service, serving
        self._poll, self._retry = poll, retry
        self._refused, self._again = "", 0.0  # the model that could not be loaded, and when to try it again
        self._problem = ""  # with the registry, as last logged
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._stop.set()
        self._thread.join(_END)

    def _run(self) -> None:
        while not self._stop.wait(self._poll):
            try:
                self._look()
            except Exception as error:  # whatever it is, the service goes on, and so does the watch
                LOG.error("the registry is not followed for now: %s", told(error))

    def _look(self) -> None:
        try:
            name = promoted(self._registry)
        except ConfigError as error:
            self._tell_once(str(error))
            return
        self._problem = ""
        if name == self._serving:
            self._refused = ""
        elif name and (name != self._refused or time.monotonic() >= self._again):
            self._take_over(name)

    def _tell_once(self, problem: str) -> None:
        if problem != self._problem:
            LOG.warning("%s; the model that answers stays", problem)
        self._problem = problem

    def _take_over(self, name: str) -> None:
        LOG.info("loading the promoted model %s", name)
        begun = time.monotonic()
        try:
            classifier = warm_classifier(self._registry.path(name))
            if self._stop.is_set():
                return
            known = set(self._service.classifier.artifact.taxonomy.keys)
            self._service.use(classifier)
        except Exception as error:
            reason = str(error) if isinstance(error, ThemewatchError) else told(error)
            LOG.error("%s cannot be loaded, the model that answers stays: %s", name, reason)
            self._service.metrics.load(taken=False)
            self._refused, self._again = name, time.monotonic() + self._retry
            return
        self._serving, self._refused = name, ""
        self._service.metrics.load(taken=True)
        if known != set(classifier.artifact.taxonomy.keys):
            LOG.warning("its themes are others than before: the page to correct them on is made anew by a restart")
        LOG.info("%s answers from now on (ready after %.1f s)", name, time.monotonic() - begun)
