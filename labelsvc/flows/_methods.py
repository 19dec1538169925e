"""Which way of learning a training takes, by what the user named, what is left open, and the kind of input.

Pictures are for networks. Tables and vectors are for scikit-learn's classifiers too, and there "auto" compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labelsvc.classical.self_training import SelfTraining
from labelsvc.classical.teachers import AUTO as TEACHERS_COMPARED
from labelsvc.classical.teachers import is_classical, make
from labelsvc.config import TrainConfig
from labelsvc.errors import UsageError
from labelsvc.labeling.consistency import Spreading
from labelsvc.methods import ALIASES, DEFAULT, METHODS, full_name, with_settings
from labelsvc.methods import make as make_method
from labelsvc.networks import FEATURE_NETWORKS
from labelsvc.records import InputShape, PictureShape

AUTO, SELF_TRAINING, SPREADING, SUPERVISED = "auto", "self-training", "spreading", "supervised"
NETWORK = "mlp"  # of those that are compared with classical teachers
ROWS = "rows"  # over which labels spread without a network
RECIPES: Mapping[str, tuple[str, str, Mapping[str, str]]] = {  # method, network, settings
    "tutorial": (SELF_TRAINING, "quadratic-sgd", {"way": "tutorial"}),
}


@dataclass(frozen=True)
class Field:
    """Which teachers of tables and vectors are compared, and what else with the best of them."""

    teachers: tuple[str, ...]
    self_training: bool  # whether it is tried
    wanted: str | None  # the method that the user asked for, win or lose
    network: bool  # whether networks are tried as well, and labels that spread

    @property
    def blends(self) -> bool:
        """Whether the mean of the best teachers is tried."""
        return len(self.teachers) > 1


def settled(config: TrainConfig, shape: InputShape) -> TrainConfig:
    """Return ``config`` with the full name of its method; what is left to a comparison stays open.

    Raises:
        UsageError: no method, recipe or teacher is called so, or it is for another kind of input.
    """
    config = with_recipe(config)
    is_picture = isinstance(shape, PictureShape)
    if is_picture and config.method == SPREADING:
        raise UsageError(
            "spreading is for tables and vectors; for pictures, --spread lets few labels flow over the pool first"
        )
    if is_picture and config.method == SELF_TRAINING:
        raise UsageError(
            "self-training wraps teachers of tables and vectors; for pictures, `label --rounds R` lets each round's "
            "student label for the next, and --method pseudo-label does so at every step"
        )
    if config.method == AUTO and (is_picture or config.network in FEATURE_NETWORKS):
        return replace(config, method=DEFAULT)
    return (
        config
        if config.method in (AUTO, SELF_TRAINING, SPREADING)
        else replace(config, method=full_name(config.method))
    )


def with_recipe(config: TrainConfig) -> TrainConfig:
    """Return ``config`` with what its recipe says.

    Raises:
        UsageError: there is no such recipe.
    """
    if config.recipe is None:
        return config
    if config.recipe not in RECIPES:
        raise UsageError(f"no recipe is called {config.recipe!r}; there is {', '.join(RECIPES)}")
    method, network, settings = RECIPES[config.recipe]
    return replace(config, method=method, network=network, settings={**settings, **config.settings}, recipe=None)


def field_of(config: TrainConfig, shape: InputShape) -> Field | None:
    """Return what a settled config has compared, None where a network learns by one of the papers' methods."""
    if config.method == SPREADING:
        return Field((), self_training=False, wanted=SPREADING, network=True)
    if isinstance(shape, PictureShape) or config.network in FEATURE_NETWORKS:
        return None
    if config.method not in (AUTO, SELF_TRAINING, SUPERVISED):
        return None
    teachers = TEACHERS_COMPARED if config.network == "auto" else (config.network,)
    is_open = config.method == AUTO
    wanted = SELF_TRAINING if config.method == SELF_TRAINING else None
    return Field(teachers, is_open or wanted is not None, wanted, is_open and config.network == "auto")


def check(config: TrainConfig) -> None:
    """Refuse what is wrong whatever the input, before hours are spent.

    Raises:
        UsageError: a name, a setting or its value is unknown.
    """
    config = with_recipe(config)
    if config.method in METHODS or config.method in ALIASES:
        if not is_classical(config.network):
            make_method(config.method, config.settings)
    elif config.method == SELF_TRAINING:
        self_training(config)
    elif config.method == SPREADING:
        _check_spreading(config)
    elif config.method == AUTO:
        _check_open(config)
    else:
        known = ", ".join([AUTO, *METHODS, SELF_TRAINING, SPREADING, *ALIASES])
        raise UsageError(f"no method is called {config.method!r}; there are {known}")
    if is_classical(config.network):
        make(config.network, config.seed, trust_import=config.trust_import)


def _check_open(config: TrainConfig) -> None:
    """Refuse settings that neither the default for pictures has nor self-training."""
    try:
        make_method(DEFAULT, config.settings)
    except UsageError:
        if not set(config.settings) <= set(SelfTraining.__dataclass_fields__):
            raise
        self_training(config)


def _check_spreading(config: TrainConfig) -> None:
    if config.network not in ("auto", *FEATURE_NETWORKS):
        raise UsageError(
            f"{SPREADING} is over the rows or a network's features, and learnt by a network; {config.network} is none: "
            "leave out --network"
        )
    spreading(config)


def spreading(config: TrainConfig) -> Spreading:
    """Return how labels spread under a config: as by default, unless that is the method.

    Raises:
        UsageError: a setting or its value is unknown.
    """
    settings = config.settings if config.method == SPREADING else {}
    found: Spreading = with_settings(Spreading(), SPREADING, settings)
    return found


def self_training(config: TrainConfig) -> SelfTraining:
    """Return how a config wraps a teacher.

    Raises:
        UsageError: a setting or its value is unknown.
    """
    found: SelfTraining = with_settings(SelfTraining(), SELF_TRAINING, config.settings)
    return found
