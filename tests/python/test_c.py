"""Builds the C example and puts the golden vectors to it, the bad ones too.

Plain script, like `test_vectors.py`.
"""

import json
import pathlib
import random
import subprocess
import tempfile

import jsonschema
import jwt

import reader
import test_vectors as golden

ROLES = ("schedule", "urgent", "policy", "time", "receipt")
FOLDER = tempfile.TemporaryDirectory()
HERE = pathlib.Path(FOLDER.name)
SCHEMA = json.loads((golden.NOTES / "schemas/record.json").read_text())
EXAMPLE = HERE / "verify_record"


def ask(*args, body=b""):
    """Returns the word; a crash, a message or another exit code stops the test."""
    run = subprocess.run([EXAMPLE, *args], input=body, capture_output=True, check=False)
    assert run.returncode == 0 and not run.stderr, (args, run.returncode, run.stderr)
    return run.stdout.decode().strip()


def register(body, pin):
    """Writes down who may sign what by a chain of epochs; returns the file."""
    keys = reader.Keys(body, pin)
    lines = []
    for number, text in enumerate(keys.epochs, 1):
        claims = reader.strict(reader.unb64(text.split(".")[1]))
        root = claims["root"]
        lines.append((reader.kid_of(root), "root", root["x"], number))
        for role in ROLES:
            for jwk in claims["roles"].get(role, []):
                lines.append((reader.kid_of(jwk), role, jwk["x"], keys.since[reader.kid_of(jwk), role]))
        for old in claims["retired"]:
            jwk = old["key"]
            lines.append((reader.kid_of(jwk), old["role"], jwk["x"],
                          keys.since.get((reader.kid_of(jwk), old["role"]), 0)))
    text = ""
    for kid, role, x, epoch in dict.fromkeys(lines):
        live = role == "root" or (kid, role) in keys.current
        if not live and any(known == kid for known, _ in keys.current):
            continue                                    # it has another role by now
        retired = keys.current[kid, role][2] if role != "root" and live else None
        state = "live" if retired is None else str(retired)
        text += f"{kid} {role} {x} {epoch} {'revoked' if kid in keys.revoked or not live else state}\n"
    path = HERE / f"register-{random.getrandbits(64):x}"
    path.write_text(text)
    return path


def test_strict_json():
    for vector in golden.load("json.json")["vectors"]:
        body = vector["body"].encode("utf-8", "surrogatepass")
        if "bytes" in vector:
            body = bytes.fromhex(vector["bytes"])
        assert ask("json", body=body) == vector["expect"], vector["name"]


def test_timetables():
    file = golden.load("documents.json")
    given, judged, refused = file["given"], 0, set()
    for vector in file["vectors"]:
        if vector["typ"] != "loa-timetable+jwt":
            continue
        has = {**given, **vector}
        now = has.get("now_ms")
        last = has.get("last")
        path = register(json.dumps(has["keys"]) if isinstance(has["keys"], dict) else has["keys"],
                        given["pin"])
        told = "-" if not last else f"{last['epoch']} {last['ver']} {last.get('digest') or last['sha256']}"
        word = ask("timetable", str(path), has["me"], "-" if now is None else str(now), told,
                   body=vector["body"].encode())
        assert word == vector["expect"], (vector["name"], word, vector["expect"])
        judged += 1
        refused.add(word)
    assert judged > 50 and len(refused) > 18, (judged, sorted(refused))


def test_sheets():
    # What items and cues say is not judged here; the first lines of the example say so.
    left_out = {"volume-101", "no-such-item", "not-described", "not-sorted", "overlap",
                "outside-the-day", "sound-empty", "short-id"}
    judged = 0
    for vector in golden.load("sheets.json")["vectors"]:
        if vector["name"] in left_out:
            continue
        limit = [str(vector["limit"])] if "limit" in vector else []
        word = ask("sheet", vector["sha256"], *limit, body=vector["body"].encode())
        assert word == vector["expect"], (vector["name"], word)
        judged += 1
    assert judged > 12, judged


def test_records_are_a_chain_that_others_verify():
    seed = next(k for k in golden.load("keys.json")["keys"] if k["name"] == "device")
    prev, chain = "-", "ab" * 16
    for seq in range(1, 6):
        text = ask("record", seed["d"], "loa-thon-1", chain, "1", str(seq), prev,
                   str(1_790_000_000_000 + seq), str(seq))
        claims = golden.decode(text, leeway=golden.FAR)
        assert (claims["seq"], claims["prev"]) == (seq, None if prev == "-" else prev)
        assert jwt.get_unverified_header(text) == {
            "alg": "EdDSA", "typ": "loa-record+jwt", "kid": seed["kid"]}
        jsonschema.Draft202012Validator(SCHEMA).validate(claims)
        prev = reader.sha256(text)
    for wrong in (["1", "2", "-"], ["0", "1", "-"], ["1", "1", prev], ["1", "1.5", "-"]):
        args = [EXAMPLE, "record", seed["d"], "loa-thon-1", chain, *wrong, "1", "1"]
        assert subprocess.run(args, capture_output=True, check=False).returncode == 2, wrong


def test_no_garbage_crashes_it():
    """Built with the sanitizers: a read beyond the input ends the program with an error."""
    random.seed(20261122)
    good = golden.load("documents.json")["vectors"][0]["body"].encode()
    path = register(golden.load("documents.json")["given"]["keys"], golden.load("documents.json")["given"]["pin"])
    sheet = golden.load("sheets.json")["vectors"][0]["body"].encode()
    for turn in range(150):
        body = bytearray(random.choice((good, sheet)))
        for _ in range(random.randrange(1, 6)):
            at = random.randrange(len(body))
            body[at:at + random.randrange(3)] = random.choice((b"", b"{", b'"', b"\\u", b"\xff", b"[", b"."))
        ask("json", body=bytes(body))
        ask("timetable", str(path), "loa-thon-1", "-", "-", body=bytes(body))
        ask("sheet", reader.hashlib.sha256(body).hexdigest(), body=bytes(body))


if __name__ == "__main__":
    subprocess.run(["make", "-s", "-C", golden.NOTES / "examples", f"OUT={HERE}",
                    "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover"], check=True)
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(name, "ok")
