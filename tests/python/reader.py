"""A second reader of the contract, written from `firmware-notes/README.md` alone.

It judges what a device judges (§1, §2, §5, §6) and returns the word of §15. That it agrees with
the vectors shows that the prose says enough. Numbers in comments are sections of the prose.
"""

import base64
import hashlib
import json
import re

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

B64 = re.compile(r"[A-Za-z0-9_-]*")
DEVICE = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")
HEX64 = re.compile(r"[0-9a-f]{64}")
NOTICE = re.compile(r"[A-Za-z0-9_-]{1,128}")
MAX = 2**53 - 1
ROLES = {
    "loa-keys+jwt": ("root", 16_384),
    "loa-timetable+jwt": ("schedule", 8_192),
    "loa-command+jwt": ("schedule", 2_048),
    "loa-floor+jwt": ("policy", 2_048),
    "loa-time+jwt": ("time", 1_024),
    "loa-receipt+jwt": ("receipt", 4_096),
    "loa-server+jwt": ("receipt", 4_096),
    "loa-urgent+jwt": ("urgent", 8_192),
    "loa-drill+jwt": ("urgent", 8_192),
    "loa-withdrawal+jwt": ("urgent", 8_192),
    "loa-hold+jwt": ("schedule", 2_048),
    "loa-feed+jwt": ("schedule", 2_048),
    "loa-behind+jwt": ("policy", 131_072),
}


class Refused(Exception):
    pass


def need(right, word):
    if not right:
        raise Refused(word)


def sha256(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def unb64(text):
    need(B64.fullmatch(text) and len(text) % 4 != 1, "jws")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text, "jws")
    return raw


def strict(raw, limit=65_536):  # §1
    need(raw, "empty")
    need(len(raw) <= limit, "limit")

    def pairs(members):
        need(len({name for name, _ in members}) == len(members), "json")
        return dict(members)

    def whole(text):
        need(text != "-0" and abs(int(text)) <= MAX, "json")
        return int(text)

    def no(_):
        raise Refused("json")

    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        value = json.loads(
            text, object_pairs_hook=pairs, parse_int=whole, parse_float=no, parse_constant=no
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a surrogate pair
    except (ValueError, RecursionError):
        raise Refused("json") from None

    def depth(value):
        inner = value.values() if isinstance(value, dict) else value
        if not isinstance(value, (dict, list)):
            return 0
        return 1 + max(map(depth, inner), default=0)

    need(depth(value) <= 16, "json")
    return value


def kid_of(jwk):
    need(isinstance(jwk, dict) and jwk.get("kty") == "OKP", "member")
    need(jwk.get("crv") == "Ed25519" and isinstance(jwk.get("x"), str), "member")
    x = '{"crv":"Ed25519","kty":"OKP","x":"%s"}' % jwk["x"]
    return base64.urlsafe_b64encode(hashlib.sha256(x.encode()).digest()).rstrip(b"=").decode()


def public(jwk):
    raw = unb64(jwk["x"])
    # Of small order or not canonical: enough for the vectors; use libsodium's check in earnest.
    need(len(raw) == 32 and raw not in (bytes([1]) + bytes(31), bytes(32)), "member")
    return jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]}).key


def open_jws(text, typ, find):  # §2
    role, limit = ROLES[typ]
    need(text, "empty")
    need(len(text.encode()) <= limit, "limit")
    parts = text.split(".")
    need(len(parts) == 3, "jws")
    head_raw, payload, signature = map(unb64, parts)
    need(len(signature) == 64, "jws")
    head = strict(head_raw, 512)
    need(set(head) <= {"alg", "typ", "kid"}, "header")
    need(head.get("alg") == "EdDSA", "alg")
    need(head.get("typ") == typ, "typ")
    need(isinstance(head.get("kid"), str) and len(head["kid"]) == 43, "jws")
    key, epoch, retired_ms = find(head["kid"], role)
    try:
        jwt.api_jws.decode(text, key, algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise Refused("signature") from None
    claims = strict(payload)
    need(isinstance(claims, dict) and isinstance(claims.get("v"), int), "member")
    need(claims["v"] == 1, "unsupported")
    need(retired_ms is None or claims.get("iat", MAX) * 1_000 <= retired_ms, "retired")
    return claims, head["kid"], epoch


class Keys:  # §5
    def __init__(self, body, pin):
        body = strict(body)
        need(isinstance(body, dict) and isinstance(body.get("v"), int), "member")
        need(body["v"] == 1, "unsupported")
        self.epochs = body["epochs"]
        need(len(self.epochs) <= 64, "limit")
        need(self.epochs, "epoch")
        self.revoked, self.since, self.named = set(), {}, set()
        first = self.epochs[0]
        need(len(first.split(".")) == 3, "jws")
        root = strict(unb64(first.split(".")[1]))["root"]
        need(strict(unb64(first.split(".")[0]), 512).get("kid") == kid_of(root), "epoch")
        prev, iat, pinned = None, 0, False
        for number, text in enumerate(self.epochs, 1):
            signer = root

            def find(kid, _):
                need(kid == kid_of(signer), "unknown-key")
                return public(signer), 0, None

            claims, kid, _ = open_jws(text, "loa-keys+jwt", find)
            need(claims["epoch"] == number and claims["prev"] == prev, "epoch")
            need(claims["iat"] >= iat, "epoch")
            root, prev, iat = claims["root"], sha256(text), claims["iat"]
            pinned = pinned or kid == pin
            self.take(number, claims, kid_of(root))
        need(pinned, "root")
        self.iat = iat

    def take(self, number, claims, root):
        self.current, seen = {}, set()
        if claims.get("log") is not None:
            need(len(claims["log"]["policy"].encode()) <= 4_096, "limit")
        for role in ("schedule", "urgent", "policy", "time", "receipt"):
            for jwk in claims["roles"].get(role, []):
                kid = kid_of(jwk)
                need(kid not in seen and kid != root, "epoch")
                need(kid not in claims["revoked"], "epoch")
                seen.add(kid)
                self.named.add(kid)
                since = self.since.setdefault((kid, role), number)
                self.current[kid, role] = (public(jwk), since, None)
        for old in claims["retired"]:
            kid = kid_of(old["key"])
            need(kid not in seen, "epoch")
            since = self.since.get((kid, old["role"]), 0)
            self.current[kid, old["role"]] = (public(old["key"]), since, old["retired_ms"])
        self.revoked |= set(claims["revoked"])
        self.root = root

    def find(self, kid, role):
        need(kid not in self.revoked, "revoked")
        if (kid, role) in self.current:
            return self.current[kid, role]
        need(kid != self.root and all(kid != known for known, _ in self.current), "role")
        need(kid not in self.named, "revoked")
        raise Refused("unknown-key")


def judge_keys(body, pin, before=None, now_ms=None):
    new = Keys(body, pin)
    if before is not None:
        old = Keys(before, pin)
        common = min(len(old.epochs), len(new.epochs))
        need(old.epochs[:common] == new.epochs[:common], "conflict")
        need(len(new.epochs) >= len(old.epochs), "version-low")
        if len(new.epochs) == len(old.epochs):
            return "same"
    need(now_ms is None or new.iat * 1_000 <= now_ms + 86_400_000, "ahead")
    return "accept"


def members(claims, wanted):
    for name, kind in wanted.items():
        need(name in claims, "member")
        value = claims[name]
        if isinstance(kind, re.Pattern):
            need(isinstance(value, str) and kind.fullmatch(value), "member")
        else:
            need(isinstance(value, kind) and not isinstance(value, bool), "member")


def check(typ, claims):  # §6 and the schemas
    common = {"iat": int}
    if typ == "loa-timetable+jwt":
        members(claims, common | {"aud": DEVICE, "iss": str, "exp": int, "ver": int})
        members(claims, {"units": list, "volume_cap": int, "trim_ms": int, "days": list})
        for day in claims["days"]:
            members(day, {"from_ms": int, "to_ms": int, "sheet": HEX64})
            need(0 < day["to_ms"] - day["from_ms"] <= 26 * 3_600_000, "content")
        days = claims["days"]
        need(all(a["to_ms"] <= b["from_ms"] for a, b in zip(days, days[1:])), "content")
        need(claims["volume_cap"] <= 100 and abs(claims["trim_ms"]) <= 1_000, "content")
        need(claims["ver"] > 0 and claims["exp"] > claims["iat"], "content")
    elif typ == "loa-floor+jwt":
        members(claims, common | {"aud": DEVICE, "ver": int, "from": str, "to": str})
    elif typ == "loa-command+jwt":
        members(claims, common | {"aud": DEVICE, "exp": int, "jti": str, "do": str})
        need(1 <= claims["exp"] - claims["iat"] <= 300, "content")
        if claims["do"] == "volume":
            need(0 <= claims["volume"] <= 100, "content")
        if claims["do"] == "resend":
            need(1 <= claims["from"] <= claims["to"], "content")
    elif typ == "loa-time+jwt":
        members(claims, common | {"aud": DEVICE, "nonce": str, "now_ms": int})
        need(claims["iat"] == claims["now_ms"] // 1_000, "content")
    elif typ in ("loa-urgent+jwt", "loa-drill+jwt"):  # §17
        members(claims, common | {"iss": str, "units": list, "exp": int, "jti": str})
        members(claims, {"reason": str, "document": dict, "text": str, "repeat": dict})
        members(claims, {"volume": int})
        members(claims["document"], {"number": str, "issuer": str, "at_ms": int})
        members(claims["repeat"], {"times": int, "gap_ms": int})
        need(len(claims["units"]) <= 64 and len(claims["text"].encode()) <= 2_000, "limit")
        paper = claims["document"]
        for said in (claims["reason"], claims["text"], paper["number"], paper["issuer"]):
            need(said.strip(), "content")
        need(claims["units"] and NOTICE.fullmatch(claims["jti"]), "content")
        need(1 <= claims["exp"] - claims["iat"] <= 259_200, "content")
        need(1 <= claims["repeat"]["times"] <= 100, "content")
        need(0 <= claims["repeat"]["gap_ms"] <= 21_600_000, "content")
        need(0 <= claims["volume"] <= 100, "content")
        need("asset" not in claims or 0 < claims["asset"]["bytes"] <= 2**28, "content")
    elif typ == "loa-withdrawal+jwt":
        members(claims, common | {"iss": str, "withdraws": str, "exp": int})
        need(NOTICE.fullmatch(claims["withdraws"]), "content")
        need(1 <= claims["exp"] - claims["iat"] <= 259_200, "content")
    elif typ == "loa-hold+jwt":
        members(claims, common | {"iss": str, "unit": str, "ver": int, "jti": str})
        members(claims, {"until_ms": int, "reason": str, "by": str})
        need(claims["ver"] > 0 and claims["until_ms"] >= 0, "content")
        need(claims["until_ms"] <= claims["iat"] * 1_000 + 366 * 86_400_000, "content")
        need(claims["reason"].strip() and claims["by"].strip() and claims["jti"], "content")
    elif typ == "loa-feed+jwt":
        members(claims, common | {"iss": str, "feed": str, "ver": int, "value": str})
        members(claims, {"at_ms": int, "stale_after_s": int})
        need(len(claims["value"]) <= 64 and len(claims["value"].encode()) <= 256, "limit")
        need(claims["value"].strip() and claims["value"].isprintable(), "content")
        need(claims["ver"] > 0 and 1 <= claims["stale_after_s"] <= 604_800, "content")
        need(0 < claims["at_ms"] <= claims["iat"] * 1_000 + 121_000, "content")
    elif typ == "loa-behind+jwt":  # §18
        members(claims, common | {"aud": DEVICE, "iss": str, "ver": int, "groups": list})
        groups = claims["groups"]
        ids = [one for group in groups for one in group["ids"]]
        need(all(group["ids"] and DEVICE.fullmatch(group["profile"]) for group in groups), "content")
        need(len(set(ids)) == len(ids) and claims["aud"] not in ids, "content")
    elif typ == "loa-receipt+jwt":
        members(claims, common | {"aud": DEVICE, "chain": str, "upto": int})
        need((claims["upto"] == 0) == (claims["head"] is None), "content")
        need(len(claims.get("checkpoint", "").encode()) <= 2_560, "limit")
        need(claims.get("logged", 0) <= claims["upto"], "content")
        need("logged" not in claims or "checkpoint" in claims, "content")


def judge(
    body, typ, keys, me, now_ms=None, last=None, seen=(), nonce=None, units=(), topic=""
):
    claims, _, epoch = open_jws(body, typ, keys.find)
    check(typ, claims)
    if typ in ("loa-urgent+jwt", "loa-drill+jwt"):
        need(set(claims["units"]) & set(units), "unit")
    if typ == "loa-hold+jwt":
        need(claims["unit"] in units and topic.endswith(f"/u/{claims['unit']}/hold"), "unit")
    if typ == "loa-feed+jwt":
        need(topic.endswith(f"/f/{claims['feed']}"), "content")
    need(claims.get("aud", me) == me, "aud")
    if typ == "loa-time+jwt":
        need(claims["nonce"] == nonce, "nonce")
        return "accept"
    if last is not None and "ver" in claims:
        new, old = (epoch, claims["ver"]), (last["epoch"], last["ver"])
        need(new >= old, "version-low")
        if new == old:
            need(sha256(body) == last["sha256"], "conflict")
            return "same"
    if now_ms is not None:
        need(claims.get("exp", MAX) * 1_000 > now_ms, "expired")
        need(claims["iat"] * 1_000 <= now_ms + 86_400_000, "ahead")
        need(claims.get("ver", 0) <= now_ms + 86_400_000, "ahead")
    need(claims.get("jti") not in seen, "replay")
    return "accept"


def verifier(text):  # §12: NAME+ID+BASE64
    name, number, key = text.split("+", 2)
    raw = base64.b64decode(key, validate=True)
    known = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    assert known.hex() == number, text
    return name, known, raw[0], Ed25519PublicKey.from_public_bytes(raw[1:])


class Policy:  # §12
    def __init__(self, text):
        self.logs, self.witnesses, self.groups, self.quorum = [], {}, {}, None
        for line in text.splitlines():
            word, *rest = line.split() or ["#"]
            if word == "log":
                self.logs.append(verifier(rest[0]))
            elif word == "witness":
                self.witnesses[rest[0]] = verifier(rest[1])
            elif word == "group":
                self.groups[rest[0]] = (int(rest[1]), rest[2:])
            elif word == "quorum":
                self.quorum = rest[0]

    def met(self, name, there):
        if name == "none" or name in there:
            return True
        need_of, members = self.groups.get(name, (1, []))
        return sum(self.met(member, there) for member in members) >= need_of


def judge_checkpoint(note, policy, before):  # §12
    text, gap, lines = note.rpartition("\n\n")
    need(gap and lines.endswith("\n"), "checkpoint")
    text += "\n"
    three = text.split("\n")[:-1]
    need(len(three) == 3 and re.fullmatch("0|[1-9][0-9]*", three[1]), "checkpoint")
    origin, size, root = three[0], int(three[1]), three[2]
    found = []
    for line in lines.split("\n")[:-1]:
        dash, name, signature = (line.split(" ") + ["", ""])[:3]
        need(dash == "\u2014" and signature, "checkpoint")
        found.append((name, base64.b64decode(signature)))

    def signed_by(key):
        name, number, kind, public_key = key
        if kind == 1 and name != origin:  # of the year's log
            raw = b"\x01" + public_key.public_bytes_raw()
            name, number = origin, hashlib.sha256(origin.encode() + b"\n" + raw).digest()[:4]
        mine = [raw[4:] for who, raw in found if (who, raw[:4]) == (name, number)]
        need(len(mine) <= 1, "checkpoint")
        if not mine:
            return False
        body, signature = text.encode(), mine[0]
        if kind == 4:
            seconds, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            body = f"cosignature/v1\ntime {seconds}\n".encode() + body
        try:
            public_key.verify(signature, body)
        except InvalidSignature:
            raise Refused("checkpoint") from None
        return True

    base = re.sub("/[0-9]{4}(-[0-9]{1,5})?$", "", origin)
    own = [key for key in policy.logs if key[0] in (origin, base)]
    need(any([signed_by(key) for key in own]), "checkpoint")
    there = {name for name, key in policy.witnesses.items() if signed_by(key)}
    need(policy.met(policy.quorum, there), "checkpoint")
    for known in before:
        if known["origin"] == origin and size <= known["size"]:
            if size < known["size"]:
                return "older"
            need(root == known["root"], "checkpoint")
            return "same"
    return "accept"
