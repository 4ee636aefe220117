"""Sections read from YAML: every value checked, and every fault told in words, with its place and a right example."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from features.errors import InputError
from features.params import Section

_LONGEST_SHOWN = 60

Read = TypeVar("Read", bound=Section)


def read_section(path: Path, kind: type[Read], settings: Sequence[str] = (), *, example: str, see: str) -> Read:
    """Read a YAML file (defaults where it is absent or silent), then apply ``section.key=value`` settings.

    ``example`` shows a right line where the file holds none, and ``see`` says where its parameters are told.
    """
    return _validated(_without_silent_sections(_read_yaml(path, example), kind), path, kind, settings, see)


def change_section(section: Read, path: Path | None, settings: Sequence[str] = (), *, example: str, see: str) -> Read:
    """Lay a YAML file over a section that is read already, then ``section.key=value`` settings; what neither names stays.

    A list is replaced whole.
    """
    kind = type(section)
    told = _without_silent_sections(_read_yaml(path, example), kind) if path else {}
    return _validated(_laid_over(section.model_dump(mode="json"), told), path or Path("--set"), kind, settings, see)


def _laid_over(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Replace what another mapping names, mapping by mapping."""
    both = {name: _laid_over(values[name], over[name]) for name in over if _are_mappings(values.get(name), over[name])}
    return {**values, **over, **both}


def _are_mappings(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def _validated(values: dict[str, Any], path: Path, kind: type[Read], settings: Sequence[str], see: str) -> Read:
    """Apply settings, and check all that a section says."""
    for setting in settings:
        _apply(values, setting)
    set_here = [setting.partition("=")[0].strip() for setting in settings]
    try:
        text = json.dumps(values, default=str)
    except ValueError as error:
        raise InputError(f"{path}: an alias (*name) refers to itself; write its value instead.") from error
    try:
        # Through JSON, since only there does the strict mode take a list for a tuple.
        return kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(*(_told(path, set_here, fault, see) for fault in _faults(error, kind))) from error


def _read_yaml(path: Path, example: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8; save it as UTF-8.") from error
    try:
        values = yaml.load(text, _Loader) or {}  # noqa: S506  # it is a safe loader
    except yaml.YAMLError as error:
        tabbed = next((number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\t", line)), 0)
        told = f"line {tabbed} uses tabs; indent with spaces." if tabbed else _yaml_fault(error)
        raise InputError(f"{path}: {told}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: parameters are sections of 'name: value' lines, like '{example}'.")
    return values


class _Loader(yaml.SafeLoader):
    """Plain YAML, whose names are texts and stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        for place, name in enumerate(names):
            if name.value in [earlier.value for earlier in names[:place]]:
                raise ConstructorError(None, None, f"'{name.value}' stands twice; keep one of them", name.start_mark)
        return {str(name): value for name, value in super().construct_mapping(node, deep).items()}


def _yaml_fault(error: yaml.YAMLError) -> str:
    """Say what is wrong in a YAML text, and where."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"this is not YAML: {' '.join(str(error).split())}"
    kind = "" if isinstance(error, ConstructorError) else "this is not YAML: "
    return f"line {error.problem_mark.line + 1}: {kind}{error.problem}."


def _without_silent_sections(values: dict[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """Leave out the sections that say nothing: they keep their defaults."""
    sections = {name: info.annotation for name, info in kind.model_fields.items() if _is_section(info.annotation)}
    kept = {name: value for name, value in values.items() if value is not None or name not in sections}
    return {
        name: _without_silent_sections(value, sections[name]) if name in sections and isinstance(value, dict) else value
        for name, value in kept.items()
    }


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _apply(values: dict[str, Any], setting: str) -> None:
    """Put one ``section.key=value`` in its place."""
    name, equals, text = setting.partition("=")
    *sections, key = name.strip().split(".")
    if not equals or not sections or not key:
        raise InputError(f"--set {setting}: write it like purchase.exercise=2027.")
    for section in sections:
        if not isinstance(values.setdefault(section, {}), dict):
            raise InputError(f"--set {setting}: '{section}' is a value, not a section.")
        values = values[section]
    try:
        values[key] = yaml.load(text, _Loader)  # noqa: S506  # it is a safe loader
    except yaml.YAMLError as error:
        raise InputError(f"--set {setting}: the value is not YAML; write it like purchase.exercise=2027.") from error


class _Fault(NamedTuple):
    """One wrong parameter of a section, as the validation found it."""

    section: type[BaseModel]
    kind: str
    where: tuple[int | str, ...]
    given: object
    bound: Mapping[str, object]
    message: str


def _faults(error: ValidationError, section: type[BaseModel]) -> Iterator[_Fault]:
    for fault in error.errors():
        yield _Fault(section, fault["type"], fault["loc"], fault["input"], fault.get("ctx", {}), fault["msg"])


def _told(path: Path, set_here: Sequence[str], fault: _Fault, see: str) -> str:
    """Say where a wrong parameter was given, and what is wrong with it."""
    name = ".".join(map(str, fault.where))
    given = next((own for own in set_here if f"{name}.".startswith(f"{own}.") or own.startswith(f"{name}.")), "")
    origin = f"--set {name}" if given else f"{path}: {name}"
    words = _in_words(fault)
    return f"{origin}: {words}{'' if words.endswith('?') else '.'} See {see}."


def _in_words(fault: _Fault) -> str:
    """Turn the commonest faults into plain words."""
    kind, value, bound = fault.kind, _given(fault.given), fault.bound
    if kind == "extra_forbidden":
        return _unknown(fault.section, fault.where)
    if kind == "missing":
        return "is missing"
    if fault.given is None:
        return "is empty; give it a value, or remove the line to keep the default"
    if kind == "tuple_type":
        return f"is a list, not {value}; write it like {_list_example(fault.section, fault.where)}"
    if kind.startswith(("float", "int", "finite")) or value == "NaN":
        return _no_number(fault.given, whole=kind.startswith("int"))
    words = {
        "less_than_equal": f"{value} is above {bound.get('le')}, the most it may be",
        "greater_than_equal": f"{value} is below {bound.get('ge')}, the least it may be",
        "model_type": f"{value} is a value, and this is a section; write 'name: value' lines under it",
        "string_type": f"{value} is not a text; write it in quotes",
        "literal_error": f"{value} is not {bound.get('expected')}",
        "value_error": str(bound.get("error")),
    }
    return words.get(kind, f"{value}: {fault.message[:1].lower()}{fault.message[1:]}")


def _given(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _no_number(value: object, *, whole: bool) -> str:
    """Say that a value is no number, and how the one that is meant is written."""
    kind, example = ("whole number", "12") if whole else ("number", "0.5")
    plain = re.sub(r"\s", "", value).replace(",", ".") if isinstance(value, str) else ""
    if re.fullmatch(r"-?\d+" if whole else r"-?\d+(\.\d+)?", plain):
        example = plain
    return f"{_given(value)} is not a {kind}; write it like {example}"


def _unknown(section: type[BaseModel], where: tuple[int | str, ...]) -> str:
    """Say that a section has no such parameter, and which one may be meant."""
    *sections, name = where
    names = list(_kind_at(section, sections).model_fields)
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(names)}"
    what, place = ("parameter", f" in {'.'.join(map(str, sections))}") if sections else ("section", "")
    return f"there is no {what} '{name}'{place}{hint}"


def _kind_at(kind: type[BaseModel], where: Sequence[int | str]) -> type[BaseModel]:
    """Find the section that stands somewhere in another."""
    for step in where:
        if isinstance(step, str):
            annotation = kind.model_fields[step].annotation
            kind = next(each for each in (annotation, *get_args(annotation)) if _is_section(each))
    return kind


def _list_example(section: type[BaseModel], where: tuple[int | str, ...]) -> str:
    """Spell the default of a list as YAML; of sections, only what must be given."""
    default = _kind_at(section, where[:-1]).model_fields[str(where[-1])].get_default()
    items = [_section_example(item) if isinstance(item, BaseModel) else _given(item) for item in default]
    return f"[{', '.join(items)}]"


def _section_example(section: BaseModel) -> str:
    needed = [name for name, info in type(section).model_fields.items() if info.is_required()]
    return "{" + ", ".join(f"{name}: {_given(getattr(section, name))}" for name in needed) + "}"
