"""Judges the golden vectors with stock libraries: PyJWT for signatures, jsonschema for shapes.

Plain script or pytest. No code of the project is used, and PyJWT is used unmodified: what it
accepts and refuses here is what a stranger's client sees.
"""

import base64
import hashlib
import hmac
import json
import pathlib

import jsonschema
import jwt

import reader

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "wire"
NOTES = ROOT / "firmware-notes"
FAR = 100 * 365 * 86_400  # leeway in seconds: whether a vector expired is not what is asked

# Reasons that a stock JWT library sees by itself, given the right key and algorithm.
SEEN_BY_PYJWT = {"alg", "signature", "jws", "empty"}


def load(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(x):
    jwk = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(jwk.encode()).digest()).rstrip(b"=").decode()


def test_keys_are_named_by_their_thumbprint():
    keys = load("keys.json")["keys"]
    assert len(keys) > 10
    for key in keys:
        assert thumbprint(key["x"]) == key["kid"], key["name"]


def register():
    keys = load("keys.json")["keys"]
    return {k["kid"]: jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": k["x"]}).key for k in keys}


def decode(text, **options):
    """As a careful client does: the key by `kid` from its own register, the algorithm fixed."""
    keys = register()
    kid = jwt.get_unverified_header(text)["kid"]
    if kid not in keys:
        raise jwt.InvalidKeyError(kid)
    return jwt.decode(
        text, keys[kid], algorithms=["EdDSA"], options={"verify_aud": False}, **options
    )


def signed_vectors():
    return load("documents.json")["vectors"] + load("notices.json")["vectors"]


def test_good_documents_are_verified_by_stock_pyjwt():
    seen = 0
    for vector in signed_vectors() + load("records.json")["vectors"]:
        if vector["expect"] in ("accept", "same") and vector.get("content", "accept") == "accept":
            claims = decode(vector["body"], leeway=FAR)
            if "claims" in vector:
                assert claims == vector["claims"], vector["name"]
                digest = hashlib.sha256(vector["body"].encode()).hexdigest()
                assert digest == vector["sha256"], vector["name"]
            seen += 1
    assert seen > 35, seen


def test_a_document_that_has_not_expired_needs_no_leeway():
    vectors = {v["name"]: v for v in load("documents.json")["vectors"]}
    assert decode(vectors["timetable-2099"]["body"])["aud"] == "loa-thon-1"


def test_the_expired_document_is_refused():
    vectors = {v["name"]: v for v in load("documents.json")["vectors"]}
    try:
        decode(vectors["expired"]["body"])
    except jwt.ExpiredSignatureError:
        return
    raise AssertionError("an expired timetable was accepted")


def test_forged_documents_are_refused():
    refused = 0
    for vector in signed_vectors():
        if vector["expect"] not in SEEN_BY_PYJWT:
            continue
        # Python's base64 overlooks spare bits and foreign characters: our rule is stricter.
        if vector["name"] in ("loose-bits", "padded", "plus-slash", "newline", "kid-short"):
            continue
        try:
            decode(vector["body"], leeway=FAR)
        except (jwt.PyJWTError, KeyError):
            refused += 1
            continue
        raise AssertionError(vector["name"])
    assert refused > 8, refused


def test_every_epoch_of_the_chain_verifies_and_names_its_predecessor():
    vectors = {v["name"]: v for v in load("epochs.json")["vectors"]}
    for name in ("first", "second", "handover", "new-root"):
        prev = None
        for number, text in enumerate(json.loads(vectors[name]["body"])["epochs"], 1):
            claims = decode(text, leeway=FAR)
            assert (claims["epoch"], claims["prev"]) == (number, prev), name
            prev = hashlib.sha256(text.encode()).hexdigest()


def test_derived_names():
    seen = set()
    for vector in load("names.json")["vectors"]:
        digest = hashlib.sha256(vector["body"].encode()).hexdigest()
        if vector.get("kind") == "cue":
            assert digest[:32] == vector["id"], vector["name"]
        elif vector.get("kind") == "partition":
            assert digest[0] == vector["p"], vector["name"]
        elif vector.get("kind") == "kid":
            assert thumbprint(vector["body"]) == vector["kid"], vector["name"]
        seen.add(vector["kind"])
    assert {"cue", "partition", "kid", "topic"} <= seen


def test_records_are_one_chain():
    data = load("records.json")
    lines = data["batch"]["body"].split("\n")
    prev = None
    for number, line in enumerate(lines, 1):
        claims = decode(line, leeway=FAR)
        assert (claims["seq"], claims["prev"]) == (number, prev)
        prev = hashlib.sha256(line.encode()).hexdigest()
    assert len(lines) == data["batch"]["records"] >= 12


def test_chunks():
    data = load("chunks.json")
    asset = data["given"]["asset"]
    clip = bytes((7 * n + n // 256) % 256 for n in range(asset["bytes"]))
    assert hashlib.sha256(clip).hexdigest() == data["given"]["sha256"]
    for kib in (16, 64):
        size = kib * 1024
        pieces = [clip[at : at + size] for at in range(0, len(clip), size)]
        sums = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
        assert hashlib.sha256(sums).hexdigest() == asset["sums"][str(kib)]
        vectors = {v["name"]: v for v in data["vectors"]}
        assert vectors[f"sums-{kib}-good"]["body"] == sums.hex()


def test_the_proof_of_an_enrolment():
    data = load("enrolment.json")
    secret = unb64(data["given"]["secret"])
    request = {v["name"]: v for v in data["vectors"]}["request"]
    claims = decode(request["body"])
    kid = jwt.get_unverified_header(request["body"])["kid"]
    text = f"loa-enrol-1\n{kid}\n{claims['nonce']}".encode()
    assert hmac.compare_digest(hmac.digest(secret, text, "sha256"), unb64(claims["mac"]))
    assert claims["code"] == hashlib.sha256(b"loa-enrol-id-1\n" + secret).hexdigest()[:32]
    assert thumbprint(claims["key"]["x"]) == kid


def schema(name):
    return json.loads((NOTES / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def test_good_vectors_follow_the_schemas():
    seen = set()

    def follows(name, value, where):
        jsonschema.Draft202012Validator(schema(name)).validate(value)
        seen.add(name)
        assert where

    for vector in signed_vectors():
        if "claims" in vector:
            name = vector["typ"].removeprefix("loa-").removesuffix("+jwt")
            follows(name, vector["claims"], vector["name"])
    for vector in load("records.json")["vectors"]:
        if "claims" in vector:
            follows("record", vector["claims"], vector["name"])
    for vector in load("epochs.json")["vectors"]:
        if "claims" in vector:
            follows("keys", json.loads(vector["body"]), vector["name"])
            for claims in vector["claims"]:
                follows("epoch", claims, vector["name"])
    for vector in load("sheets.json")["vectors"]:
        if vector["expect"] == "accept":
            follows("sheet", json.loads(vector["body"]), vector["name"])
    for vector in load("states.json")["vectors"]:
        if vector["expect"] == "accept":
            follows("state", json.loads(vector["body"]), vector["name"])
    for vector in load("enrolment.json")["vectors"]:
        if vector["name"] == "request":
            follows("enrol-request", vector["claims"], vector["name"])
        if vector["name"] == "answer":
            follows("enrol-answer", json.loads(vector["body"]), vector["name"])
            follows("welcome", vector["claims"]["body"], vector["name"])
        if vector["name"] == "code-text":
            follows("code", vector["claims"], vector["name"])
    files = {path.stem for path in (NOTES / "schemas").glob("*.json")}
    assert seen == files, seen ^ files


def test_schemas_refuse_what_is_wrong():
    validator = lambda name: jsonschema.Draft202012Validator(schema(name))
    good = {v["name"]: v for v in load("documents.json")["vectors"]}["timetable"]["claims"]
    for change in ({"v": 2}, {"volume_cap": 101}, {"aud": "LOA"}, {"exp": 1.5}, {"days": [{}]}):
        assert not validator("timetable").is_valid({**good, **change}), change
    record = load("records.json")["vectors"][5]["claims"]
    for change in ({"seq": 0}, {"outcome": "fine"}, {"prev": "x"}, {"clock": {}}):
        assert not validator("record").is_valid({**record, **change}), change
    refused = 0
    for vector in load("states.json")["vectors"]:
        if vector["expect"] in ("member", "unsupported"):
            assert not validator("state").is_valid(json.loads(vector["body"])), vector["name"]
            refused += 1
    assert refused >= 3


def word(judge, *args, **kwargs):
    try:
        return judge(*args, **kwargs)
    except reader.Refused as refused:
        return str(refused)


def test_a_reader_written_from_the_prose_agrees_with_every_vector():
    wrong = []
    for vector in load("json.json")["vectors"]:
        said = word(lambda raw: reader.strict(raw) and "accept" or "accept", vector["body"].encode())
        wrong += [(vector["name"], vector["expect"], said)] if said != vector["expect"] else []
    epochs = load("epochs.json")
    for vector in epochs["vectors"]:
        given = epochs["given"] | vector
        said = word(
            reader.judge_keys, vector["body"].encode(), given["pin"], before=vector.get("before"),
            now_ms=given["now_ms"],
        )
        wrong += [(vector["name"], vector["expect"], said)] if said != vector["expect"] else []
    for file in ("documents.json", "notices.json"):
        documents = load(file)
        keys = reader.Keys(documents["given"]["keys"], documents["given"]["pin"])
        for vector in documents["vectors"]:
            given = documents["given"] | vector
            said = word(
                reader.judge, vector["body"], vector["typ"], keys, given["me"],
                now_ms=given["now_ms"], last=vector.get("last"), seen=vector.get("seen", ()),
                nonce=vector.get("nonce"), units=given.get("units", ()), topic=vector["topic"],
            )
            wrong += [(vector["name"], vector["expect"], said)] if said != vector["expect"] else []
    checkpoints = load("checkpoints.json")
    policy = reader.Policy(checkpoints["given"]["policy"])
    for vector in checkpoints["vectors"]:
        before = vector.get("before", [])
        said = word(reader.judge_checkpoint, vector["body"], policy, before)
        wrong += [(vector["name"], vector["expect"], said)] if said != vector["expect"] else []
    assert not wrong, wrong


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"{name} ok")
