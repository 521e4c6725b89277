"""Checks `firmware-notes/asyncapi.yaml` against the official JSON Schema of AsyncAPI 3.0.

The schema lies beside this file as it was published (npm `@asyncapi/specs` 6.11.1,
`schemas/3.0.0.json`, Apache License 2.0, AsyncAPI Initiative), compressed and otherwise unchanged.
"""

import copy
import gzip
import hashlib
import json
import pathlib

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
NOTES = HERE.parents[1] / "firmware-notes"
PUBLISHED = "d4571a420e6ffb7fcc7066c95a6db1202f299a3c51daa103d0706bf30f95e626"

raw = gzip.decompress((HERE / "asyncapi-3.0.0.json.gz").read_bytes())
assert hashlib.sha256(raw).hexdigest() == PUBLISHED, "this is not the schema as published"
schema = json.loads(raw)
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
validator = kind(schema)


class Plain(yaml.SafeLoader):
    """As JSON: no dates out of text, and no member twice."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(names)) == len(names), (node.start_mark.line, names)
        return super().construct_mapping(node, deep)


Plain.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
document = yaml.load((NOTES / "asyncapi.yaml").read_text(), Plain)  # noqa: S506 (a SafeLoader)
faults = sorted(validator.iter_errors(document), key=lambda fault: list(fault.absolute_path))
for fault in faults[:10]:
    print("/".join(map(str, fault.absolute_path)), fault.message[:300])
assert not faults


def follow(reference):
    """What a reference names, in this document or in a file beside it."""
    file, _, pointer = reference.partition("#")
    found = json.loads((NOTES / file).read_text()) if file else document
    for part in filter(None, pointer.split("/")):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def references(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


count = 0
for reference in references(document):
    assert follow(reference) is not None, reference
    count += 1
assert count > 60, count
used = {operation["channel"]["$ref"].split("/")[-1] for operation in document["operations"].values()}
assert used == set(document["channels"]), used ^ set(document["channels"])

# The judge sees what is wrong: each of these must be refused.
for path, wrong in (
    (("asyncapi",), "2.6.0"),
    (("channels", "keys", "messages"), []),
    (("operations", next(iter(document["operations"])), "action"), "shout"),
    (("info",), {}),
):
    broken = copy.deepcopy(document)
    at = broken
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = wrong
    assert not validator.is_valid(broken), path
print(len(document["channels"]), "channels,", count, "references")
