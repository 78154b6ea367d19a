"""firecracker.yaml, Firecracker's own description of its API (Apache-2.0), as a C string of
JSON for the test server: schema.py firecracker.yaml > schema.h"""
import json
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    swagger = yaml.safe_load(file)
kept = {"definitions": swagger["definitions"], "paths": {}}
for path, methods in swagger["paths"].items():
    kept["paths"][path] = {}
    for method, what in methods.items():
        body = [p for p in what.get("parameters", []) if p["in"] == "body"]
        kept["paths"][path][method.upper()] = body[0]["schema"] if body else {}


def strip(value):
    """Only what is checked: descriptions would make most of it."""
    if isinstance(value, dict):
        return {k: strip(v) for k, v in value.items() if k != "description" or isinstance(v, dict)}
    return [strip(v) for v in value] if isinstance(value, list) else value


text = json.dumps(strip(kept), separators=(",", ":"), default=str)
print("static const char schema_text[] =")
for at in range(0, len(text), 100):
    print("    " + json.dumps(text[at : at + 100]))
print("    ;")
