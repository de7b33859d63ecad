"""The JSON Schemas that Readygate publishes: of the inventory, for editors, and of results.json."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from readygate.inventory.model import COMPOSED_KEYS, Document
from readygate.results import Run

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def inventory_schema() -> dict[str, Any]:
    """The schema of an inventory file as a person writes it, before anything is merged."""
    body = Document.model_json_schema(ref_template="#/$defs/{model}")
    definitions = body.pop("$defs", {})
    properties = body["properties"]
    sections = [key for key in properties if properties[key].get("additionalProperties")]
    for key in sections:
        entry = properties[key]["additionalProperties"]
        properties[key]["additionalProperties"] = {"$ref": f"#/$defs/{entry['$ref'].rpartition('/')[2]}"}
    for name, definition in definitions.items():
        if any(properties[key]["additionalProperties"]["$ref"].endswith(f"/{name}") for key in sections):
            definition["properties"]["groups"] = {
                "type": "array",
                "items": {"type": "string"},
                "description": "Groups whose content is merged under this entry.",
            }
    defaults = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: properties[key]["additionalProperties"] for key in sections},
    }
    named = {"type": "object", "additionalProperties": {"type": "object"}}
    shapes: dict[str, dict[str, Any]] = {
        "include": {"type": "array", "items": {"type": "string"}},
        "environments": named,
        "defaults": defaults,
        "groups": named,
    }
    properties.update({key: {**shapes[key], "description": text} for key, text in COMPOSED_KEYS.items()})
    return {
        "$schema": DIALECT,
        **body,
        "title": "Readygate inventory",
        # What is merged in from elsewhere needs not stand in each file.
        "required": [],
        "patternProperties": {"^x-": {}, r"^\.": {}},
        "$defs": definitions,
    }


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
                },
            },
            {"type": "null"},
        ],
    }
    return {"$schema": DIALECT, "title": "Readygate results", **schema}
