"""Checks the shipped profiles against their JSON Schema with another people's validator."""

import json
import pathlib
import tomllib

import jsonschema

root = pathlib.Path(__file__).resolve().parents[2]
schema = json.loads((root / "playlists/.schema/profile.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
profiles = sorted((root / "device-profiles").glob("*.toml"))
assert profiles
for path in profiles:
    profile = tomllib.loads(path.read_text())
    validator.validate(profile)
    profile.setdefault("dialect", {})["verison"] = 1
    assert not validator.is_valid(profile), f"{path.name}: an unknown key passes"
print(len(profiles), "profiles")
