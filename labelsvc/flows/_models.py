"""Which model a verb means, and its network with the recorded weights."""

from __future__ import annotations

from pathlib import Path

import torch

from labelsvc import networks
from labelsvc.classical.estimated import as_classifier
from labelsvc.classical.keeping import SUFFIX, load
from labelsvc.classical.teachers import AND
from labelsvc.errors import InputError
from labelsvc.networks import Classifier, weights
from labelsvc.records import Listener, Model
from labelsvc.store import label_sets, models
from labelsvc.store.database import Store
from labelsvc.workspace import Workspace

PREDICTIONS = "predictions"  # the method of a model of which there is no network, only a file of its words


def newest(store: Store, wanted: str | None) -> Model:
    """Return the model named by an ending of its id, else the newest, teacher or student.

    Raises:
        InputError: nothing was trained yet.
        UsageError: the ending fits no model, or several.
    """
    if wanted is not None:
        return models.get(store, wanted)
    model = models.newest(store)
    if model is None:
        raise InputError("no model was trained in this workspace yet; run `labelsvc train`")
    return model


def in_use(store: Store, wanted: str | None, listener: Listener) -> Model:
    """Return the wanted model, else the current set's student, else its teacher, else the newest; say which."""
    newest_model = newest(store, wanted)
    current = label_sets.current(store)
    if wanted is not None or current is None:
        listener.note(f"{newest_model.role} {newest_model.model_id} ({newest_model.method}, {newest_model.network})")
        return newest_model
    model = models.student_of(store, current.label_set_id) or models.get(store, current.model_id)
    listener.note(f"{model.role} {model.model_id} of the current label set ({model.method}, {model.network})")
    if newest_model.model_id != model.model_id:
        listener.note(f"a newer {newest_model.role} {newest_model.model_id} exists; name it with --from")
    return model


def is_kept(workspace: Workspace, model: Model) -> bool:
    """Return whether a model's weights are still there."""
    return (workspace.root / model.path).exists()


def open_network(workspace: Workspace, model: Model, *, path: Path | None = None) -> Classifier:
    """Return the network of ``model`` on the CPU, with its weights or those of one of its moments.

    Raises:
        InputError: there is no network, only another program's predictions; or the weights are gone or are not the
            recorded ones.
    """
    if is_estimator(model):
        return as_classifier(_estimator(workspace, model), model.preprocessing.shape, len(model.classes))
    if model.method == PREDICTIONS:
        raise InputError(
            f"{model.role} {model.model_id} is another program's predictions ({model.network}): there is no network of "
            "it to ask or to export. `label --from-predictions FILE` brings its word on more rows, `distill --steps N` "
            "makes a student of its labels, and --from MODEL names another model"
        )
    network = networks.build(model.network, model.preprocessing, len(model.classes), seed=0)
    weights.load(network, path or workspace.root / model.path, sha256=None if path else model.sha256)
    return network.eval().requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)


def is_estimator(model: Model) -> bool:
    """Return whether a model is a classifier of scikit-learn's kind, not a network."""
    return model.path.endswith(SUFFIX)


def _estimator(workspace: Workspace, model: Model) -> object:
    """Return the fitted estimator of a model; what another library made was trusted when it was trained."""
    trusted = tuple(f"{name.partition('.')[0]}." for name in model.network.split(AND) if "." in name)
    return load(workspace.root / model.path, sha256=model.sha256, trusted=trusted)
