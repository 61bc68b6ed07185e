"""All settings of one run, gathered: how an experiment is read, written and validated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import field_validator

from delt_engine.config.methods import METHOD_SETTINGS, depends_on_size, stage_settings
from delt_engine.config.real_data import RankConfig, SelectConfig, SqueezeConfig
from delt_engine.config.recover import RecoverConfig
from delt_engine.config.settings import Settings, setting, shortened
from delt_engine.config.students import RECIPES, EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError
from delt_engine.files import check_file

DEFAULT_DATASET = "cifar10-mini"

Resize = Literal["whole", "published"]
"""How a picture becomes a square of S pixels; see :attr:`Experiment.resize`."""


class Experiment(Settings):
    """Everything one run needs: the data, the teacher, and the settings of each stage."""

    dataset: str = setting(DEFAULT_DATASET, more=False)
    """Name of a dataset in the catalogue, or a folder with one folder of images a class."""
    image_size: int | None = setting(None, ge=8, le=1024)
    """Side of the square images in pixels; as the dataset has it when not given."""
    resize: Resize = setting("whole", title="Squares", source="published: code of DELT, RDED and CDA; whole: ours")
    """How pictures become squares of S px for ranking, start images and tests: whole takes the largest square, bicubic;
    published resizes the short side to S // 7 * 8, bilinear, and takes the centre, 79 % of the square at 64 px."""
    teacher: str = setting("auto")
    """Shipped or trained teacher by name, or a checkpoint file; auto finds one for the dataset."""
    teachers: tuple[str, ...] = setting(())
    """Committee that gvbsm recovers from, in turn: names or files, or second for the held-out network; when not given
    the teacher and one network of every other kind that is known for the dataset."""
    ranker: str = setting("", source="DELT ranks with ResNet-18 whatever recovers")
    """Teacher that ranks the patches, by name or file, or the CSV of a ranking; the teacher that recovers when not
    given."""
    classes: tuple[str, ...] | None = setting(None)
    """Recover these classes only; all when not given."""
    seed: int = setting(0, ge=0, le=2**31 - 1, more=False)
    """The same seed on the same device gives the same images."""
    device: str = setting("auto")
    """auto, cpu, cuda, cuda:1, ... or mps."""
    squeeze: SqueezeConfig = SqueezeConfig()
    rank: RankConfig = RankConfig()
    select: SelectConfig = SelectConfig()
    recover: RecoverConfig = RecoverConfig()
    relabel: RelabelConfig = RelabelConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_given(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and not value:
            raise ConfigError("classes: an empty list given, but at least one class is needed.")
        return value

    @classmethod
    def for_method(
        cls, method: str, *, size: int | None = None, recover: Mapping[str, Any] | None = None, **values: Any
    ) -> Experiment:
        """Return an experiment with a method's settings in every stage, and ``values`` on top.

        Args:
            size: side of the dataset's images in pixels, for what depends on it; ``image_size`` when not given.
            recover: settings of the recovery on top of the method's.
            values: settings of the experiment; of a stage a mapping on top of the method's, or a whole record.

        Raises:
            ConfigError: an unknown method or name, or a value that is not allowed.

        >>> Experiment.for_method("rded", size=224, rank={"crops": 3}).rank.crops
        3
        """
        size = size or values.get("image_size")
        values["recover"] = RecoverConfig.for_method(method, size=size, **(recover or {}))
        for stage, settings in stage_settings(method, size).items():
            given = values.get(stage, {})
            if isinstance(given, Mapping):
                values[stage] = {**settings, **given}
        return cls(**values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], size_of: Callable[[str], int | None] | None = None) -> Experiment:
        """Read an experiment from plain values; ``recover.method`` and ``evaluate.recipe`` set their defaults first.

        Args:
            size_of: tells the side of a dataset's images in pixels, for methods in which something depends on it.

        Raises:
            ConfigError: an unknown name or a value that is not allowed.
        """
        _check_names(values, cls)
        for name, record in STAGES.items():
            if isinstance(values.get(name), Mapping):
                _check_names(values[name], record)
        values = dict(values)
        evaluate = values.get("evaluate")
        if isinstance(evaluate, Mapping):
            evaluate = dict(evaluate)
            recipe = _word("recipe", evaluate.pop("recipe", "delt"), RECIPES)
            values["evaluate"] = EvaluateConfig.for_recipe(recipe, **evaluate)
        recover = values.get("recover")
        if not isinstance(recover, Mapping):
            return cls(**values)
        recover = dict(recover)
        method = _word("method", recover.pop("method", "delt"), METHOD_SETTINGS)
        given = cls(**{name: values[name] for name in ("dataset", "image_size") if name in values})
        size = size_of(given.dataset) if size_of and depends_on_size(method) else None
        return cls.for_method(method, **{**values, "recover": recover, "size": given.image_size or size})

    @classmethod
    def read(cls, path: str | Path, size_of: Callable[[str], int | None] | None = None) -> Experiment:
        """Read an experiment from a YAML or JSON file; see :meth:`from_mapping`.

        Raises:
            ConfigError: no such file, not YAML, or a value that is not allowed.
        """
        return cls.from_mapping(cls.values_in(path), size_of)

    @staticmethod
    def values_in(path: str | Path) -> dict[str, Any]:
        """Return what stands in the file of an experiment, for :meth:`from_mapping`.

        Raises:
            ConfigError: no such file, or not YAML.
        """
        path = Path(path)
        try:
            check_file(path, most=2**24)
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"experiment: {path} cannot be read ({error.strerror}).") from None
        except ValueError as error:  # not UTF-8, or no name of a file
            raise ConfigError(f"experiment: {path} is neither YAML nor JSON ({error}).") from None
        try:
            values = yaml.safe_load(text)
            for text in _texts(values):
                text.encode()  # half of a letter is no text
        except RecursionError:
            raise ConfigError(f"experiment: {path} is nested too deeply.") from None
        except (yaml.YAMLError, ValueError) as error:  # the second of dates and numbers that are none
            first_line = str(error).splitlines()[0]
            raise ConfigError(f"experiment: {path} is neither YAML nor JSON ({first_line}).") from None
        if not isinstance(values, Mapping):
            raise ConfigError(f"experiment: {path} must hold names and values, but holds {type(values).__name__}.")
        return dict(values)

    def to_yaml(self) -> str:
        """Return the experiment as YAML that :meth:`read` takes back.

        Sections of labels and students are there where they say something: `delt run` does what has a section.
        """
        plain = {"relabel": RelabelConfig(), "evaluate": EvaluateConfig()}
        unsaid = {stage for stage, settings in plain.items() if getattr(self, stage) == settings}
        values = json.loads(self.model_dump_json(exclude=unsaid))
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        # PyYAML writes these line ends as they are, and reads them as a blank.
        return yaml.safe_dump(values, sort_keys=False) if re.search("[\x85\u2028\u2029\ufeff]", text) else text


def _texts(values: Any) -> Iterator[str]:
    """Return every text in lists and mappings; what stands in them many times is looked at once."""
    seen: set[int] = set()
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            waiting += value


STAGES: dict[str, type[Settings]] = {
    "squeeze": SqueezeConfig,
    "rank": RankConfig,
    "select": SelectConfig,
    "recover": RecoverConfig,
    "relabel": RelabelConfig,
    "evaluate": EvaluateConfig,
}
"""The settings of each stage, in the order of the stages."""


def _check_names(values: Mapping[Any, Any], record: type[Settings]) -> None:
    """Refuse names that are no settings of a record; YAML makes numbers and truths of some of them."""
    for name in values:
        if name not in record.model_fields:
            raise ConfigError(f"{name}: there is no such setting in {record.__name__}.")


def _word(name: str, value: Any, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{name}: {shortened(value)} given, but it must be one of {', '.join(known)}.")
    return value
