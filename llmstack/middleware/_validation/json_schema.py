"""JSON schemas given to the API: are they schemas, and do strict ones keep to what strict mode takes?

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas names what strict mode demands: the root is
an object and no ``anyOf``; every object lists all its properties as required and takes no others.

A meta-schema run by a package would be complete, and would refuse with messages about the meta-schema; here are the
keywords whose misuse the API refuses, each with the path of the keyword.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llmstack.middleware._validation.finding import Findings, a, is_array, is_number, is_object, kind, member

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_SCHEMAS = ("additionalProperties", "items", "not", "contains", "if", "then", "else", "propertyNames")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_TEXTS = ("pattern", "format", "description", "title", "$ref")
_NUMBERS = ("minimum", "maximum", "multipleOf")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_DEEPEST = 100
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
LONGEST_NAME = 64


def check_name(name: Any, path: str, found: Findings, longest: int = LONGEST_NAME) -> None:
    """A function's or format's name: letters, digits, ``_`` and ``-``, not too long."""
    if name is None:
        found.add(path, "is missing")
    elif isinstance(name, str) and (len(name) > longest or not _NAME.fullmatch(name)):
        found.add(path, f"must be 1 to {longest} of the characters a-z, A-Z, 0-9, _ and -")


class SchemaCheck:
    """Checks one schema, with all that is in it."""

    __slots__ = ("_found", "_root", "_strict")

    def __init__(self, root: Mapping[str, Any], found: Findings, *, strict: bool) -> None:
        """Take the schema.

        Args:
            root: The whole schema, which references point into.
            found: What takes the issues.
            strict: True to check what strict mode demands, too.
        """
        self._root = root
        self._found = found
        self._strict = strict

    def run(self, path: str) -> None:
        """Check it all."""
        if self._strict:
            if "anyOf" in self._root:
                self._found.add(member(path, "anyOf"), "strict mode takes no anyOf at the root of a schema")
            elif "$ref" not in self._root and self._root.get("type") != "object":
                self._found.add(member(path, "type"), 'strict mode takes only a schema of type "object"')
        self._check(self._root, path, 0)

    def _check(self, schema: Any, path: str, depth: int) -> None:
        if isinstance(schema, bool) or depth > _DEEPEST:
            return
        if not is_object(schema):
            if kind(schema):
                self._found.add(path, f"a schema must be an object, not {a(kind(schema))}")
            return
        self._check_values(schema, path)
        self._check_reference(schema, path)
        if self._strict:
            self._check_strict(schema, path)
        self._check_inner(schema, path, depth)

    def _check_values(self, schema: Mapping[str, Any], path: str) -> None:
        add = self._found.add
        types = schema.get("type")
        for name in types if is_array(types) else [] if types is None else [types]:
            if not isinstance(name, str) or name not in _TYPES:
                add(member(path, "type"), f"must be one of {', '.join(sorted(_TYPES))}")
        for keywords, fits, wanted in _VALUES:
            for keyword in keywords:
                if keyword in schema and not fits(schema[keyword]):
                    add(member(path, keyword), f"must be {wanted}, not {a(kind(schema[keyword]))}")

    def _check_reference(self, schema: Mapping[str, Any], path: str) -> None:
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#") and not self._leads_somewhere(reference):
            self._found.add(member(path, "$ref"), "points to nothing in this schema")

    def _leads_somewhere(self, reference: str) -> bool:
        place: Any = self._root
        if reference in ("#", "#/"):
            return True
        if not reference.startswith("#/"):
            return True  # an anchor: somewhere in the schema, and nobody uses them
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            if is_array(place) and key in map(str, range(len(place))):
                place = place[int(key)]
            elif is_object(place) and key in place:
                place = place[key]
            else:
                return "%" in key
        return True

    def _check_strict(self, schema: Mapping[str, Any], path: str) -> None:
        properties = schema.get("properties")
        types = schema.get("type")
        if types != "object" and not (is_array(types) and "object" in types) and not is_object(properties):
            return
        if schema.get("additionalProperties") is not False:
            self._found.add(member(path, "additionalProperties"), "must be false in strict mode")
        required = schema.get("required")
        names = list(properties) if is_object(properties) else []
        missing = [name for name in names if not is_array(required) or name not in required]
        if missing:
            self._found.add(
                member(path, "required"), f"must list every property in strict mode; {len(missing)} missing"
            )

    def _check_inner(self, schema: Mapping[str, Any], path: str, depth: int) -> None:
        for keyword in _SCHEMAS:
            inner = schema.get(keyword)
            if inner is None:
                continue
            if keyword == "items" and is_array(inner):  # before draft 2020-12: a list of schemas
                self._check_list(inner, member(path, keyword), depth)
            else:
                self._check(inner, member(path, keyword), depth + 1)
        for keyword in _SCHEMA_LISTS:
            if keyword in schema:
                self._check_list(schema[keyword], member(path, keyword), depth)
        for keyword in _SCHEMA_MAPS:
            if keyword not in schema:
                continue
            inner = schema[keyword]
            if not is_object(inner):
                self._found.add(member(path, keyword), f"must be an object, not {a(kind(inner))}")
                continue
            for name, item in inner.items():
                self._check(item, member(member(path, keyword), name), depth + 1)

    def _check_list(self, inner: Any, path: str, depth: int) -> None:
        if not is_array(inner) or not inner:
            self._found.add(path, "must be a list of at least one schema")
            return
        for i, item in enumerate(inner):
            self._check(item, f"{path}[{i}]", depth + 1)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return kind(value) == "integer" and value >= 0


def _are_texts(value: Any) -> bool:
    return is_array(value) and all(isinstance(item, str) for item in value)


_VALUES = (
    (_TEXTS, _is_text, "a string"),
    (_NUMBERS, is_number, "a number"),
    (_COUNTS, _is_count, "an integer of at least 0"),
    (("required",), _are_texts, "a list of strings"),
    (("enum",), is_array, "a list"),
)
