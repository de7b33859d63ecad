"""The JSON Schemas that Readygate publishes: of the inventory, for editors, and of results.json."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from readygate.inventory.model import COMPOSED_KEYS, document_of
from readygate.results import Run

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_OWN_KEYS: dict[str, Any] = {"patternProperties": {"^x-": {}, r"^\.": {}}}  # the user's own data, and anchors


class _AsWritten(GenerateJsonSchema):
    """What may be written where a number or a flag is meant: that, or a text that is filled in with one."""

    ignored_warning_kinds = GenerateJsonSchema.ignored_warning_kinds | {"non-serializable-default"}  # an expectation

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return _or_reference(super().int_schema(schema))

    def bool_schema(self, schema: Any) -> JsonSchemaValue:
        return _or_reference(super().bool_schema(schema))


def _or_reference(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [schema, {"type": "string", "pattern": r"\$\{"}]}


def inventory_schema() -> dict[str, Any]:
    """The schema of an inventory file as a person writes it, before anything is merged."""
    body = document_of().model_json_schema(schema_generator=_AsWritten)
    definitions, properties = body.pop("$defs", {}), body["properties"]
    # What is merged in from elsewhere needs not stand in each place.
    for described in (body, *definitions.values()):
        described.pop("required", None)
    entries = {
        key: each["additionalProperties"] for key, each in properties.items() if "additionalProperties" in each
    }
    for entry in entries.values():
        definitions[entry["$ref"].rpartition("/")[2]]["properties"]["groups"] = {
            **_TEXTS,
            "description": "Groups whose content is merged under this entry.",
        }
    properties["defaults"] = _mapping(
        {key: {**entry, "description": properties[key]["description"]} for key, entry in entries.items()}
    )
    properties["groups"] = {"type": "object", "additionalProperties": {"type": "object"}}
    overlay = {**properties, "without": {**_TEXTS, "description": "Paths of the rest that are taken away here."}}
    definitions["Overlay"] = _mapping(overlay) | _OWN_KEYS
    properties["include"] = dict(_TEXTS)
    properties["environments"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Overlay"}}
    for key, text in COMPOSED_KEYS.items():
        properties[key]["description"] = text
    return {"$schema": DIALECT, **body, "title": "Readygate inventory", **_OWN_KEYS, "$defs": definitions}


def _mapping(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def results_schema() -> dict[str, Any]:
    """The schema of results.json."""
    schema = TypeAdapter(Run).json_schema()
    schema["properties"]["verdict"] = {
        "description": "What `decide` said when the run ended; null while it is under way.",
        "anyOf": [
            {
                "type": "object",
                "properties": {
                    "word": {"enum": ["GO", "GO WITH WAIVERS", "NO-GO", "INCOMPLETE"]},
                    "sentence": {"type": "string"},
                    "exit_code": {"enum": [0, 1, 3]},
                    "coverage": {"type": "object", "additionalProperties": {"type": "integer"}},
                    "excused": {"type": "object", "additionalProperties": {"enum": ["waived", "attested"]}},
                },
            },
            {"type": "null"},
        ],
    }
    seal = "SHA-256 over the rest, as sorted JSON without white space; a file that it does not fit is refused."
    schema["properties"]["sha256"] = {"type": "string", "description": seal}
    return {"$schema": DIALECT, "title": "Readygate results", **schema}
