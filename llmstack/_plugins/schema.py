"""Schema: what a config file may say, as a JSON Schema, so that editors complete it and mark what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from llmstack._core.transport import Transport
from llmstack._plugins.clear import names_one
from llmstack._plugins.discovery import discover
from llmstack._plugins.hint import UNSAYABLE, hints_of, is_secret, json_schema, sayable, without_none
from llmstack._plugins.settings import RESERVED
from llmstack._plugins.transport import factories, offered_by, takes_transport
from llmstack.errors import ConfigError

__all__ = ["schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = {
    "type": "string",
    "pattern": "^(env|file|keyring):.+",
    "description": 'where the value is: "env:NAME", "file:PATH" or "keyring:SERVICE/USER"',
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a config file, made of the constructors of all installed plugins.

    It imports those plugins; one that is broken, or may not be loaded, has a table without a description.
    """
    definitions: dict[str, Any] = {}
    names: list[str] = []
    tables: dict[str, Any] = {}
    loaded: list[object] = []
    for offer in discover():
        names += offer.names
        try:
            plugin = offer.load()
        except ConfigError:
            tables[offer.name] = {"type": "object"}
            continue
        loaded.append(plugin)
        if inspect.isclass(plugin):
            tables[offer.name] = _table(plugin, definitions)
    places = factories(offered_by(plugin for plugin in loaded if not inspect.isclass(plugin)))
    definitions["transport"] = _transport(places, definitions)
    common = {**_common(sorted(names)), **tables}
    profile = {"type": "object", "properties": common, "additionalProperties": False}
    definitions["profile"] = profile
    profiles = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/profile"},
        "description": "tables that go before the others where the profile of their name is chosen",
    }
    return {
        "$schema": _DIALECT,
        "title": "llmstack.toml",
        "type": "object",
        "properties": {**common, "profile": profiles},
        "required": ["plugins"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _common(names: list[str]) -> dict[str, Any]:
    several = {"type": "array", "items": {"enum": names}, "uniqueItems": True}
    anything = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    place = {"$ref": "#/$defs/transport"}
    found = {
        "plugins": {"anyOf": [several, {"const": "auto"}], "description": 'active plugins; "auto": all installed ones'},
        "allow": {**anything, "description": "only these may be loaded"},
        "block": {**anything, "description": "these may not be loaded"},
        "strict": {"type": "boolean", "description": "true: a broken plugin is an error; false: it is left out"},
        "transport": {**place, "description": "where calls go"},
        "transports": {"type": "object", "additionalProperties": place, "description": "other transports, by name"},
    }
    missing = set(RESERVED) - {*found, "profile"}
    if missing:
        raise AssertionError(f"undescribed keys of a config: {missing}")
    return found


def _transport(places: Mapping[str, Callable[..., Transport]], definitions: dict[str, Any]) -> dict[str, Any]:
    kinds: list[dict[str, Any]] = []
    for name, factory in places.items():
        table = _table(factory, definitions)
        table["properties"] = {"use": {"const": name}, **table["properties"]}
        table["required"] = ["use", *table.get("required", ())]
        kinds.append(table)
    return {"oneOf": kinds}


def _table(factory: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The table of a constructor: a property for each parameter that a file can give."""
    hints = hints_of(factory)
    descriptions = _arguments(inspect.getdoc(factory) or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    more = False
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            more = True
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        found = _property(name, hints.get(name, Any), definitions)
        if found is None:
            continue
        if name in descriptions:
            found = {**found, "description": descriptions[name].replace("``", "`")}
        if isinstance(parameter.default, (str, int, float, bool)):
            found = {**found, "default": parameter.default}
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        properties[name] = found
    table: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": more}
    return {**table, "required": required} if required else table


def _property(name: str, hint: Any, definitions: dict[str, Any]) -> dict[str, Any] | None:
    if takes_transport(hint):
        return {"$ref": "#/$defs/transport"}
    wanted = sayable(hint)
    if wanted is UNSAYABLE:
        return None
    wanted = without_none(wanted)
    if names_one(name) or is_secret(hint):
        return dict(_REFERENCE)
    found = json_schema(wanted)
    definitions.update({kind: _told(definition) for kind, definition in found.pop("$defs", {}).items()})
    if _speaks(found):
        return found
    # A reference is a text, whatever it stands for.
    return {"anyOf": [found, _REFERENCE]}


def _told(definition: dict[str, Any]) -> dict[str, Any]:
    """A table inside an option, each of its keys with what its docstring says of it."""
    docstring = definition.get("description", "")
    for name, description in _arguments(docstring).items():
        if name in definition.get("properties", {}):
            definition["properties"][name]["description"] = description.replace("``", "`")
    return {**definition, "description": docstring.partition("\n\n")[0].replace("``", "`")} if docstring else definition


def _speaks(found: Mapping[str, Any]) -> bool:
    """Whether any text may stand there anyway."""
    if not found or (found.get("type") == "string" and not {"pattern", "format", "enum", "const"} & set(found)):
        return True
    alternatives: Iterable[Any] = found.get("anyOf", ())
    return any(_speaks(alternative) for alternative in alternatives)


def _arguments(docstring: str) -> dict[str, str]:
    """The descriptions of parameters in a docstring in Google's style."""
    found: dict[str, str] = {}
    inside, current = False, ""
    for line in docstring.splitlines():
        bare = line.strip()
        if not line.startswith(" ") and bare:
            inside, current = bare == "Args:", ""
        elif inside and line.startswith("    ") and not line.startswith("     "):
            current, colon, text = bare.partition(": ")
            if colon:
                found[current] = text
        elif inside and current in found and bare:
            found[current] += f" {bare}"
    return found
