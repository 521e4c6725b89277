#!/usr/bin/env python3
"""A small LED board that speaks the contract of `firmware-notes/README.md`, written from it alone.

    board.py --enrol CODE --data DIR      once: becomes the device the code was made for
    board.py --data DIR                   from then on: shows its pages here, and proves it

Needs paho-mqtt 2 and PyJWT[crypto]. Section marks (§) point into the README.

It does: keys with their whole chain (§5), timetable and floor (§6), day sheets (§7), assets in
chunks (§8), the server's time (§9), rotations (§10), a ledger that survives `kill -9` (§11),
delivery until the signed receipt (§12).

It leaves out, on purpose: pixels (text goes to the terminal, so `frame` is null and the grade 2),
clips (their cues fail as `unsupported`), the idle page, enrolment over https, assets over HTTP, chunks of 16 KiB,
dropping of assets and old records when space is short, a clock chip. `--clock system` trusts the
clock of the machine, as on a computer with NTP. Volume and self-test are answered, not done.
"""
import argparse, base64, hashlib, hmac, json, os, queue, random, re, secrets, shutil
import signal, ssl, sys, threading, time, urllib.error, urllib.parse, urllib.request
import jwt
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FW, DAY, QUARTER, BEAT, BATCH = "board.py 1", 86_400_000, 900_000, 1_800, 65_536
ROLES = ("schedule", "urgent", "policy", "time", "receipt")
HEX64 = re.compile("[0-9a-f]{64}")


class Refused(Exception):
    """Carries one word of §15."""


def need(good, word):
    if not good:
        raise Refused(word)


# ---- §1: strict JSON, names -------------------------------------------------------------------
def strict(raw, limit=BATCH):
    need(raw, "empty")
    need(len(raw) <= limit, "limit")
    def pairs(members):
        need(len({k for k, _ in members}) == len(members), "json")
        return dict(members)
    def whole(text):
        need(text != "-0" and len(text) < 18 and abs(int(text)) < 2 ** 53, "json")
        return int(text)
    def never(_):
        raise Refused("json")
    def depth(value):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0) if isinstance(value, (dict, list)) else 0
    try:
        value = json.loads(raw.decode() if isinstance(raw, bytes) else raw, object_pairs_hook=pairs,
                           parse_int=whole, parse_float=never, parse_constant=never)
        json.dumps(value, ensure_ascii=False).encode()          # half a surrogate pair fails here
        need(depth(value) <= 16, "json")
    except (ValueError, RecursionError):
        raise Refused("json") from None
    return value


def members(doc, **kinds):
    need(isinstance(doc, dict) and type(doc.get("v", 1)) is int, "member")
    need(doc.get("v", 1) == 1, "unsupported")
    for name, kind in kinds.items():
        need(name in doc and type(doc[name]) in (kind if isinstance(kind, tuple) else (kind,)), "member")
    return doc


def sha(data):
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    need(re.fullmatch("[A-Za-z0-9_-]*", text) and len(text) % 4 != 1, "jws")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(b64(data) == text, "jws")                              # spare bits are zero
    return data


# ---- §2: keys and signatures ------------------------------------------------------------------
P, ORDER8 = 2 ** 255 - 19, {int.from_bytes(bytes.fromhex(h), "little") for h in (
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")}


def thumbprint(x):
    return b64(hashlib.sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % x.encode()).digest())


def read_key(jwk):
    """A JWK → (thumbprint, key); keys of small order or spelled strangely are refused."""
    members(jwk, kty=str, crv=str, x=str)
    need(jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519" and re.fullmatch("[A-Za-z0-9_-]{43}", jwk["x"]),
         "member")
    y = int.from_bytes(unb64(jwk["x"]), "little") % 2 ** 255
    need(1 < y < P - 1 and y not in ORDER8, "member")
    return thumbprint(jwk["x"]), Ed25519PublicKey.from_public_bytes(unb64(jwk["x"]))


def verify(text, typ, role, register, limit):
    """The claims of a signed document and its kid; the register alone says which key may sign."""
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    need(text, "empty")
    need(len(text) <= limit, "limit")
    parts = text.split(".")
    need(len(parts) == 3, "jws")
    header, claims, signature = map(unb64, parts)
    need(len(header) <= 512, "limit")
    need(len(signature) == 64, "jws")
    head = strict(header)
    need(isinstance(head, dict) and set(head) <= {"alg", "typ", "kid"}, "header")
    need(head.get("alg") == "EdDSA", "alg")
    need(head.get("typ") == typ, "typ")
    kid = head.get("kid")
    need(isinstance(kid, str) and len(kid) == 43 and unb64(kid), "jws")
    need(kid in register, "unknown-key")
    entry = register[kid]
    need(entry["role"] != "revoked", "revoked")
    need(entry["role"] == role, "role")
    try:
        jwt.PyJWS(algorithms=["EdDSA"]).decode(text, entry["key"], algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise Refused("signature") from None
    doc = members(strict(claims), v=int)
    if entry["until"] is not None:
        need(members(doc, iat=int)["iat"] * 1000 <= entry["until"], "retired")
    return doc, kid


def read_epochs(raw, pin, before=None, now=None):
    """§5: the body of `keys` → (its epochs, register {kid: role, key, epoch, until})."""
    epochs = members(strict(raw), v=int, epochs=list)["epochs"]
    need(len(epochs) <= 64, "limit")
    need(epochs and all(isinstance(e, str) for e in epochs), "epoch")
    register, signers, root, iat = {}, set(), None, 0
    for number, text in enumerate(epochs, 1):
        if root is None:                                        # the first names its own signer
            try:
                root = read_key(strict(unb64(text.split(".")[1])).get("root"))
            except (IndexError, AttributeError):
                raise Refused("jws") from None
        doc, kid = verify(text, "loa-keys+jwt", "root",
                          {root[0]: {"role": "root", "key": root[1], "until": None}}, 16_384)
        members(doc, epoch=int, prev=(str, type(None)), iat=int, root=dict, roles=dict, retired=list,
                revoked=list)
        need(doc["epoch"] == number and doc["iat"] >= iat, "epoch")
        need(doc["prev"] == (sha(epochs[number - 2]) if number > 1 else None), "epoch")
        need(now is None or doc["iat"] * 1000 <= now + DAY, "ahead")
        signers.add(kid)
        root, iat, mine = read_key(doc["root"]), doc["iat"], {}
        roots = signers | {root[0]}
        lists = [(role, jwk, None) for role in ROLES for jwk in doc["roles"].get(role, [])]
        for old in doc["retired"]:
            members(old, role=str, key=dict, retired_ms=int)
            lists.append((old["role"], old["key"], old["retired_ms"]))
        for role, jwk, until in lists:
            kid, key = read_key(jwk)
            need(kid not in mine and kid not in roots and kid not in doc["revoked"], "epoch")
            known = register.get(kid, {"role": role, "epoch": number})
            need(known["role"] in (role, "revoked"), "epoch")
            if known["role"] != "revoked":                      # once revoked stays revoked
                mine[kid] = {"role": role, "key": key, "epoch": known["epoch"], "until": until}
        gone = dict.fromkeys([*register, *doc["revoked"]], {"role": "revoked", "epoch": 0})
        register = {**gone, **mine}
    need(pin in signers, "root")
    register.update(dict.fromkeys(signers | {root[0]}, {"role": "root"}))
    if before:
        need(len(epochs) >= len(before) or epochs != before[:len(epochs)], "version-low")
        need(epochs[:len(before)] == before, "conflict")
    return epochs, register


# ---- files ------------------------------------------------------------------------------------
def write(path, data):
    """All or nothing, also when the power goes."""
    with open(path + ".new", "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(data.encode() if isinstance(data, str) else data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Ledger:
    """§11: one signed record a line, only ever appended to."""

    def __init__(self, path, key, dev):
        self.path, self.key, self.dev, self.lines = path, key, dev, []
        self.kid = thumbprint(b64(key.public_key().public_bytes_raw()))
        whole = read(path).rpartition(b"\n") if os.path.exists(path) else (b"", b"", b"")
        self.lines = whole[0].decode().split("\n") if whole[0] else []
        if whole[2]:                                            # a line the power cut; never sent
            os.truncate(path, len(whole[0]) + len(whole[1]))
        self.records = [json.loads(unb64(line.split(".")[1])) for line in self.lines]
        self.chain = self.records[0]["chain"] if self.records else secrets.token_hex(16)

    def head(self):
        return sha(self.lines[-1]) if self.lines else None

    def add(self, kind, boot, clock, **body):
        claims = {"v": 1, "kind": kind, "dev": self.dev, "chain": self.chain, "boot": boot,
                  "seq": len(self.lines) + 1, "prev": self.head(), "at_ms": clock.now(),
                  "mono_ms": clock.mono(), "clock": clock.quality(), "seen": None,
                  "attestor": "device", **body}
        line = jwt.encode(claims, self.key, "EdDSA", {"typ": "loa-record+jwt", "kid": self.kid})
        with open(self.path, "ab") as f:
            f.write(line.encode() + b"\n")
            f.flush()
            os.fsync(f.fileno())
        self.lines.append(line)
        self.records.append(claims)


class Clock:
    """§9: trusted time on a monotonic clock; a guess until the first answer."""

    def __init__(self, system, least_ms):
        self.start, self.system, self.least = time.monotonic(), system, least_ms
        self.offset, self.error, self.at = int(time.time() * 1000), None, None

    def mono(self):
        return int((time.monotonic() - self.start) * 1000)

    def now(self):
        return max(int(time.time() * 1000) if self.system else self.offset + self.mono(), self.least)

    def err(self):
        return None if self.at is None else self.error + (self.mono() - self.at) * 50 // 1_000_000

    def trusted(self):
        return self.system or (self.at is not None and self.err() <= 120_000)

    def quality(self):
        if self.system or self.at is None:
            return {"src": "ntp" if self.system else "none", "age_s": None, "err_ms": None}
        return {"src": "server", "age_s": (self.mono() - self.at) // 1000, "err_ms": self.err()}


# ---- §3: enrolment ----------------------------------------------------------------------------
def enrol(code, folder, insecure):
    os.makedirs(folder, 0o700, exist_ok=True)
    if os.path.exists(f"{folder}/device.json"):
        sys.exit(f"{folder} is enrolled already; take another folder")
    text = code.strip().rpartition("#")[2]
    need(text.startswith("loa1.") and len(code) <= 1024, "code")
    doc = members(strict(unb64(text[5:])), v=int, url=str, secret=str, root=str, exp=int)
    need("#" not in code or code.strip() == f"{doc['url']}/enrol#{text}", "code")
    url, secret = urllib.parse.urlsplit(doc["url"]), unb64(doc["secret"])
    loopback = url.hostname == "localhost" or url.hostname.startswith("127.") or url.hostname == "::1"
    if url.scheme != "http" or not (loopback or insecure):
        sys.exit("this example enrols over http only: on loopback, or with --insecure")
    key_file = f"{folder}/device.pem"
    if not os.path.exists(key_file):
        write(key_file, Ed25519PrivateKey.generate().private_bytes(
            ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
    key = ser.load_pem_private_key(read(key_file), None)
    x = b64(key.public_key().public_bytes_raw())
    kid, nonce = thumbprint(x), b64(secrets.token_bytes(16))
    request = jwt.encode({
        "v": 1, "code": sha(b"loa-enrol-id-1\n" + secret)[:32],
        "key": {"kty": "OKP", "crv": "Ed25519", "x": x}, "nonce": nonce, "fw": FW,
        "mac": b64(hmac.digest(secret, f"loa-enrol-1\n{kid}\n{nonce}".encode(), "sha256")),
    }, key, "EdDSA", {"typ": "loa-enrol-request+jwt", "kid": kid})
    try:
        with urllib.request.urlopen(urllib.request.Request(
                doc["url"] + "/enrol", request.encode(), {"Content-Type": "application/jwt"}), timeout=30) as r:
            answer = members(strict(r.read(131_073), 131_072), v=int, keys=dict, floor=str, body=str)
    except urllib.error.HTTPError as e:
        sys.exit(f"refused: {strict(e.read(BATCH)).get('detail', e)}")
    keys = json.dumps(answer["keys"])
    _, register = read_epochs(keys, doc["root"])
    me, _ = verify(answer["body"], "loa-enrol-answer+jwt", "policy", register, 16_384)
    need(me["request"] == sha(request), "nonce")
    floor, floor_kid = verify(answer["floor"], "loa-floor+jwt", "policy", register, 2_048)
    need(floor["aud"] == me["id"], "aud")
    write(f"{folder}/state.json", json.dumps({"keys": keys, "least_ms": me["iat"] * 1000, "docs": {"floor": {
        "text": answer["floor"], "epoch": register[floor_kid]["epoch"], "ver": floor["ver"]}}}))
    write(f"{folder}/device.json", json.dumps({**me, "pin": doc["root"]}))
    print("enrolled as", me["id"])


# ---- §7, §8: fetching by hash -----------------------------------------------------------------
def read_sheet(raw):
    doc = members(strict(raw), v=int, from_ms=int, to_ms=int, sound=list, assets=dict, items=dict, cues=list)
    before, end, outputs = doc["from_ms"], None, {}
    for span in doc["sound"]:
        members(span, from_ms=int, to_ms=int)
        need(span["from_ms"] < span["to_ms"], "member")
        need(end is None or end <= span["from_ms"], "content")
        end = span["to_ms"]
    for a in doc["assets"].values():
        members(a, bytes=int, sums=dict, ms=int, gain_cb=int, lufs_cb=int, title=str)
        need(a["bytes"] > 0, "content")
    for cue in doc["cues"]:
        members(cue, id=str, at_ms=int, end_ms=int, item=str, volume=int, fade_ms=int)
        span = (cue["at_ms"], cue["end_ms"])
        need(re.fullmatch("[0-9a-f]{32}", cue["id"]), "member")
        need(doc["from_ms"] <= span[0] < doc["to_ms"] and span[0] <= span[1] and cue["fade_ms"] >= 0
             and 0 <= cue["volume"] <= 100 and cue["item"] in doc["items"], "content")
        item = doc["items"][cue["item"]]                        # sorted; apart on each output, except
        kind = item.get("kind") if isinstance(item, dict) else None                       # rotations
        last = outputs.get(kind, (0, 0))
        need(before <= span[0], "content")
        need(last[1] <= span[0] or kind == "pages" and span == last or kind not in ("clip", "pages"), "content")
        before, outputs[kind] = span[0], span
        need(isinstance(item, dict) and kind == "clip" and HEX64.fullmatch(str(item.get("asset"))) is None
             or kind != "clip" or item["asset"] in doc["assets"], "content")
    return doc


def read_pages(item):
    """The pages of an item, or None: then only its cues fail."""
    try:
        members(item, kind=str, title=str, pages=list)
        for page in item["pages"]:
            members(page, text=str, dwell_ms=int)
            need(page.get("effect", "still") in ("still", "scroll") and page["dwell_ms"] > 0, "content")
        return item["pages"] if item["kind"] == "pages" and item["pages"] else None
    except Refused:
        return None


class Fetch:
    """At most eight topics unanswered, refilled by halves; silence doubles the wait."""

    def __init__(self, board):
        self.board, self.sums, self.vain = board, {}, {}
        self.asked, self.answered, self.last, self.wait = {}, [], 0, 15

    def missing(self):
        """(topic, kind, sha, n) of all that stays out, most urgent first."""
        for name in self.board.sheets_wanted():
            yield f"s/{name}", "sheet", name, None
        for name, asset in self.board.assets_wanted():
            if name not in self.sums:
                yield f"a/{name}/64/sums", "sums", name, None
            else:
                for n in range(-(-asset["bytes"] // 65_536)):
                    if not os.path.exists(self.part(name, n)):
                        yield f"a/{name}/64/{n}", "chunk", name, n

    def part(self, name, n):
        return f"{self.board.dir}/assets/{name}.{n}"

    def tick(self, now, client):
        if self.asked and now - self.last > self.wait:          # nothing came: ask again, later
            for _, name, _ in set(self.asked.values()):
                self.vain[name] = self.vain.get(name, 0) + 1
            self.answered += self.asked
            self.asked, self.wait = {}, min(900, self.wait * random.uniform(1.5, 2))
        if len(self.asked) > 4:
            return
        rows = sorted(self.missing(), key=lambda row: self.vain.get(row[2], 0) // 3)
        new = [row for row in rows if row[0] not in self.asked][:8 - len(self.asked)]
        if self.answered:
            client.unsubscribe([self.board.prefix + t for t in self.answered])
            self.answered = []
        if new:
            self.last = now
            self.asked.update((t, (kind, name, n)) for t, kind, name, n in new)
            client.subscribe([(self.board.prefix + t, 1) for t, *_ in new])

    def got(self, topic, body, now):
        if topic not in self.asked or not body:
            return
        kind, name, n = self.asked[topic]
        self.last, self.wait = now, 15
        if kind == "sheet":
            need(len(body) <= BATCH, "limit")
            need(sha(body) == name, "hash")
            read_sheet(body)
            write(f"{self.board.dir}/sheets/{name}", body)
        else:
            asset = dict(self.board.assets_wanted()).get(name)
            if asset:
                self.piece(kind, name, n, asset, body)
        del self.asked[topic]
        self.answered.append(topic)
        self.vain.pop(name, None)

    def piece(self, kind, name, n, asset, body):
        count = -(-asset["bytes"] // 65_536)
        if kind == "sums":
            need(len(body) == 32 * count and sha(body) == asset["sums"].get("64"), "hash")
            self.sums[name] = body
            return
        need(len(body) == min(65_536, asset["bytes"] - n * 65_536), "hash")
        need(hashlib.sha256(body).digest() == self.sums[name][32 * n:32 * n + 32], "hash")
        write(self.part(name, n), body)
        parts = [self.part(name, i) for i in range(count)]
        if all(map(os.path.exists, parts)):
            whole = hashlib.sha256()
            with open(f"{self.board.dir}/assets/joining", "wb") as f:
                for p in parts:
                    whole.update(data := read(p))
                    f.write(data)
                f.flush()
                os.fsync(f.fileno())
            if whole.hexdigest() == name:
                os.replace(f.name, f"{self.board.dir}/assets/{name}")
            for p in parts:
                os.remove(p)
            need(whole.hexdigest() == name, "hash")


# ---- the board --------------------------------------------------------------------------------
class Board:
    def __init__(self, folder, system_clock):
        self.dir, self.me = folder, json.loads(read(f"{folder}/device.json"))
        self.state = {"conn": 0, "boot": 0, "clean": True, "upto": 0, "docs": {}, "follow": None, "jtis": {},
                      "refused": {}, "open": {}, "stopped": {}, "turn": -1, **json.loads(read(f"{folder}/state.json"))}
        self.id, self.prefix = self.me["id"], self.me["prefix"] + "/"
        for sub in ("sheets", "assets"):
            os.makedirs(f"{folder}/{sub}", exist_ok=True)
        self.clock = Clock(system_clock, self.state["least_ms"])
        key = ser.load_pem_private_key(read(f"{folder}/device.pem"), None)
        self.ledger = Ledger(f"{folder}/records.jws", key, self.id)
        self.epochs, self.keys = read_epochs(self.state["keys"], self.me["pin"])
        self.queue, self.parked, self.cache, self.fetch = queue.Queue(), {}, {}, Fetch(self)
        self.client, self.online, self.bound, self.retry_at, self.rest_at = None, False, 1, 0, None
        self.send_at, self.send_wait, self.sent, self.sent_at = 0, 20, 0, None
        self.nonce, self.asked_at, self.said, self.said_at, self.server = None, 0, None, 0, None
        self.showing, self.assets_at, self.saved_at = None, 0, 0
        self.boot()

    def save(self):
        write(f"{self.dir}/state.json", json.dumps(self.state))

    def record(self, kind, **body):
        self.ledger.add(kind, self.state["boot"], self.clock, **body)

    def boot(self):
        """Goes on with the chain where it ended, and closes what a power cut left open."""
        unclean, first = not self.state["clean"], not self.ledger.lines
        self.state["boot"] = max([self.state["boot"], *(r["boot"] for r in self.ledger.records[-1:])]) + 1
        self.state["clean"] = False
        self.save()
        if first:
            self.record("chain", why="enrolled")
        self.record("boot", fw=FW, reason="restart" if first or not unclean else "power", unclean=unclean)
        shows = [r for r in self.ledger.records if r["kind"] in ("show", "play")]
        self.done, told = {r["cue"] for r in shows}, {(r["cue"], r.get("from_ms")) for r in shows}
        self.boot_cause, self.booted_ms, self.trusted_ms = "power" if unclean else "off", None, None
        for run in self.state["open"].values():
            if (run["cue"], run["from"]) not in told and run["shown"]:
                self.show(run, min(run["seen"], run["to"]), "partial", self.boot_cause)
            run.update({"from": None, "shown": 0, "times": 0, "cause": self.boot_cause})
        self.save()

    # -- documents: §5, §6, §9, §12 --
    def take(self, topic, body):
        """Judges one message; a refusal is counted, never fatal."""
        try:
            name = topic.removeprefix(self.prefix)
            if name.startswith(("s/", "a/")):
                self.fetch.got(name, body, time.monotonic())
            elif name == f"d/{self.id}/state" or not body:
                return                                          # the own voice; a cleared topic
            elif name == "keys":
                self.take_keys(body)
            else:
                kind = "server" if name == "server" else name.removeprefix(f"d/{self.id}/")
                if kind in ("timetable", "floor", "command", "time", "receipt", "server"):
                    getattr(self, "take_" + kind)(body)
                    self.parked.pop(topic, None)
        except Refused as e:
            word = str(e)
            if word == "unknown-key" and not topic.endswith("keys"):
                self.parked[topic] = body                       # perhaps the next epoch knows it
                return
            hour = self.clock.now() // 3_600_000
            entry = self.state["refused"].setdefault(f"{topic} {word} {hour}", {
                "topic": topic, "reason": word, "n": 0, "first": sha(body), "from_ms": self.clock.now()})
            entry["n"] += 1
            print(f"refused: {topic}: {word}", file=sys.stderr)

    def signed(self, body, kind, role, limit, **kinds):
        doc, kid = verify(body, f"loa-{kind}+jwt", role, self.keys, limit)
        members(doc, iat=int, **kinds)
        need(kind == "server" or members(doc, aud=str)["aud"] == self.id, "aud")
        return doc, kid

    def accepted(self, doc):
        self.clock.least = self.state["least_ms"] = max(self.clock.least, doc["iat"] * 1000)
        self.save()

    def trusted_now(self):
        return self.clock.now() if self.clock.trusted() else None

    def take_keys(self, body):
        epochs, keys = read_epochs(body, self.me["pin"], self.epochs, self.trusted_now())
        if len(epochs) > len(self.epochs):
            self.state["keys"] = body.decode()
            self.save()
            self.epochs, self.keys = epochs, keys
            for kind, kept in list(self.state["docs"].items()):
                kid = strict(unb64(kept["text"].split(".")[0]))["kid"]
                if keys.get(kid, {"role": "revoked"})["role"] == "revoked":
                    del self.state["docs"][kind]                # what a stolen key signed goes at once
                    if kind == "timetable":
                        self.state["follow"] = None
            self.save()
            for topic, parked in list(self.parked.items()):
                self.take(topic, parked)
        if self.rest_at:
            self.rest_at = time.monotonic()

    def judged(self, body, kind, role, limit, **kinds):
        """§6 for timetable and floor: True when it is new and now kept."""
        doc, kid = self.signed(body, kind, role, limit, ver=int, **kinds)
        need(doc["ver"] >= 1, "content")
        last, mine = self.state["docs"].get(kind), [self.keys[kid]["epoch"], doc["ver"]]
        now, text = self.trusted_now(), body.decode()
        if last:
            need(mine >= [last["epoch"], last["ver"]], "version-low")
            if mine == [last["epoch"], last["ver"]]:
                need(text == last["text"], "conflict")
                return False
        if now is not None:
            need("exp" not in doc or doc["exp"] * 1000 > now, "expired")
            need(max(doc["iat"] * 1000, doc["ver"]) <= now + DAY, "ahead")
        self.state["docs"][kind] = {"text": text, "epoch": mine[0], "ver": mine[1]}
        self.accepted(doc)
        return True

    def take_floor(self, body):                                 # kept; a board makes no sound
        self.judged(body, "floor", "policy", 2_048, offset_min=int, **{"from": str, "to": str})

    def take_timetable(self, body):
        doc, _ = verify(body, "loa-timetable+jwt", "schedule", self.keys, 4_096)
        members(doc, days=list, volume_cap=int, trim_ms=int)
        need(0 <= doc["volume_cap"] <= 100 and abs(doc["trim_ms"]) <= 1000, "content")
        end = None
        for day in doc["days"]:
            members(day, from_ms=int, to_ms=int, sheet=str)
            need(HEX64.fullmatch(day["sheet"]), "member")
            need(day["from_ms"] < day["to_ms"] and (end is None or end <= day["from_ms"]), "content")
            end = day["to_ms"]
        if self.judged(body, "timetable", "schedule", 4_096, exp=int, fetch_spread_s=int, units=list):
            spread = self.timetable()["fetch_spread_s"]
            self.assets_at = time.monotonic() + random.uniform(0, spread)

    def take_time(self, body):
        doc, _ = self.signed(body, "time", "time", 1_024, nonce=str, now_ms=int)
        need(doc["iat"] == doc["now_ms"] // 1000, "content")
        need(self.nonce is not None and doc["nonce"] == self.nonce, "nonce")
        self.nonce, trip = None, int((time.monotonic() - self.asked_at) * 1000)
        old, new = self.clock.now(), doc["now_ms"] + trip // 2
        if self.clock.system or trip > 60_000 or new < self.clock.least - 1000 or (
                self.clock.trusted() and abs(new - old) > DAY):
            return
        c = self.clock
        c.at, c.error, c.offset = c.mono(), (trip + 1) // 2, new - c.mono()
        self.accepted(doc)
        if abs(new - old) > 1000:
            self.record("clock", old_ms=old, new_ms=new)

    def take_receipt(self, body):
        doc, _ = self.signed(body, "receipt", "receipt", 4_096, chain=str, upto=int, head=(str, type(None)))
        need((doc["upto"] == 0) == (doc["head"] is None), "content")
        need(doc["chain"] == self.ledger.chain, "conflict")
        if doc["upto"] > self.state["upto"]:
            need(doc["upto"] <= len(self.ledger.lines), "conflict")
            need(doc["head"] == sha(self.ledger.lines[doc["upto"] - 1]), "conflict")
            self.state["upto"] = doc["upto"]
            self.accepted(doc)
            self.sent_at, self.send_wait = None, 20
            print(f"receipt: records up to {doc['upto']} are safe", file=sys.stderr)

    def take_server(self, body):
        doc, _ = self.signed(body, "server", "receipt", 4_096, conn=(str, int), state=str)
        if doc["state"] == "ready" and doc["conn"] != self.server:
            if self.server is not None:                         # at a connection all this is done anyway
                self.bound, self.send_wait, self.sent_at, self.asked_at = 1, 20, None, -60
                self.send_at = time.monotonic() + random.uniform(0, 1.5)
            self.server = doc["conn"]

    def take_command(self, body):
        doc, _ = self.signed(body, "command", "schedule", 2_048, exp=int, jti=str, do=str)
        do = doc["do"]
        need(1 <= doc["exp"] - doc["iat"] <= 300, "content")
        if do == "volume":
            need(0 <= members(doc, volume=int)["volume"] <= 100, "content")
        if do == "resend":
            members(doc, chain=str, to=int, **{"from": int})
            need(1 <= doc["from"] <= doc["to"], "content")
        now, jtis = self.trusted_now(), self.state["jtis"]
        if now is not None:
            need(doc["exp"] * 1000 > now, "expired")
            need(doc["iat"] * 1000 <= now + DAY, "ahead")
        need(doc["jti"] not in jtis, "replay")
        here = self.clock.now()
        self.state["jtis"] = {k: t for k, t in jtis.items() if t > here - 3_600_000} | {doc["jti"]: here}
        self.accepted(doc)
        result = "unsupported"
        if do == "resend":
            result = "gone"
            if doc["chain"] == self.ledger.chain and doc["to"] <= len(self.ledger.lines):
                result = "done"
                self.publish_records(doc["from"], doc["to"])
        elif do in ("stop", "volume", "identify", "self-test") and now is None:
            result = "refused: clock"
        elif do == "stop":
            runs = [r for r in self.state["open"].values() if self.showing]
            for run in runs:
                self.state["stopped"][run["cue"]] = run["end"]
                self.close(run, here, "stop")
            result, self.showing = "done" if runs else "nothing plays", None
        elif do == "volume":
            result = "nothing plays"                            # a board makes no sound
        elif do == "identify":
            print(f"\a*** {self.id} ***", flush=True)
            result = "done"
        self.record("did", jti=doc["jti"], what=do, result=result)

    # -- what the timetable asks for: §7 --
    def timetable(self, kind="docs"):
        kept = self.state["docs"].get("timetable") if kind == "docs" else self.state["follow"]
        return json.loads(unb64(kept["text"].split(".")[1])) if kept else None

    def days(self, kind="docs"):
        """Days from yesterday on; a cue may run over midnight."""
        return [d for d in (self.timetable(kind) or {"days": []})["days"]
                if d["to_ms"] > self.clock.now() - DAY]

    def sheet(self, name):
        if name not in self.cache:
            try:
                body = read(f"{self.dir}/sheets/{name}")
                self.cache[name] = read_sheet(body) if sha(body) == name else None
            except (OSError, Refused):
                return None
        return self.cache[name]

    def sheets_wanted(self):
        return list(dict.fromkeys(d["sheet"] for d in self.days() if self.sheet(d["sheet"]) is None))

    def assets_wanted(self):
        """Assets not held yet, in the order of first use; none before their random moment."""
        found, first = {}, None
        table = self.timetable() or {}
        for name, asset in (table.get("standby") or {}).items():
            found[name] = asset
        for day in self.days():
            sheet = self.sheet(day["sheet"])
            for cue in sheet["cues"] if sheet else []:
                item = sheet["items"][cue["item"]]
                item = item if isinstance(item, dict) else {}
                for name in (item.get("asset"), item.get("fallback")):
                    if name in sheet["assets"]:
                        found.setdefault(name, sheet["assets"][name])
                        if not os.path.exists(f"{self.dir}/assets/{name}"):
                            first = first or cue["at_ms"]
            for name, asset in sheet["assets"].items() if sheet else []:
                found.setdefault(name, asset)                   # frames to come: named by no clip
        soon = first is not None and first - self.clock.now() < table.get("fetch_spread_s", 0) * 1000
        if time.monotonic() < self.assets_at and not soon:
            return []
        return [(n, a) for n, a in found.items() if not os.path.exists(f"{self.dir}/assets/{n}")]

    def held(self):
        return sorted(n for n in os.listdir(f"{self.dir}/assets") if HEX64.fullmatch(n))

    def follow(self):
        """A new timetable comes into force when all its sheets are here."""
        new = self.state["docs"].get("timetable")
        if new and new != self.state["follow"] and not self.sheets_wanted():
            self.state["follow"] = new
            self.save()
            print(f"following timetable {new['ver']}", file=sys.stderr)

    # -- showing: §10 --
    def cues(self):
        for day in self.days("follow"):
            sheet = self.sheet(day["sheet"])
            for cue in sheet["cues"] if sheet else []:
                yield cue, day["sheet"], sheet

    def show(self, run, to, outcome, cause):
        self.done.add(run["cue"])
        self.record("show", cue=run["cue"], n=1, sheet=run["sheet"], item=run["item"], title=run["title"],
                    frame=None, from_ms=run["from"], to_ms=max(to, run["from"]), times=run["times"],
                    shown_ms=run["shown"], outcome=outcome, cause=cause, grade=2 if run["shown"] else 1)

    def close(self, run, now, cause="end"):
        """One quarter of an hour of one cue, or the rest of it, goes into the ledger."""
        if run["from"] is not None and run["shown"]:
            short = run["gap"] + run["to"] - min(now, run["to"])
            cause = run["cause"] if cause == "end" and short * 20 > run["to"] - run["begin"] else cause
            self.show(run, min(now, run["to"]), "partial" if cause != "end" else "played", cause)
        self.state["open"].pop(f"{run['cue']}/{run['begin']}", None)
        self.save()

    def fail(self, cue, name, sheet, cause):
        item = sheet["items"][cue["item"]]
        item, self.done = item if isinstance(item, dict) else {}, self.done | {cue["id"]}
        title = item.get("title") if isinstance(item.get("title"), str) else ""
        if item.get("kind") == "clip":
            asset = item.get("asset") if item.get("asset") in sheet["assets"] else None
            a = sheet["assets"].get(asset, {"lufs_cb": None, "gain_cb": None, "ms": cue["end_ms"] - cue["at_ms"]})
            self.record("play", cue=cue["id"], n=1, sheet=name, item=cue["item"], asset=asset, title=title,
                        lufs_cb=a["lufs_cb"], gain_cb=a["gain_cb"], due_ms=cue["at_ms"],
                        due_len_ms=min(a["ms"], cue["end_ms"] - cue["at_ms"]), started_ms=None, ended_ms=None,
                        played_ms=0, outcome="failed", cause=cause, by=None, volume=0, skew_ms=None, grade=1,
                        method="none", score_permille=None)
        else:
            self.record("show", cue=cue["id"], n=1, sheet=name, item=cue["item"], title=title, frame=None,
                        from_ms=cue["at_ms"], to_ms=cue["end_ms"], times=0, shown_ms=0, outcome="failed",
                        cause=cause, grade=1)

    def why_missed(self, instant):
        if instant <= self.booted_ms and self.state["boot"] > 1:
            return self.boot_cause
        return "clock" if instant <= self.trusted_ms else "late"

    def play(self):
        """One step: finish the page, turn, open and close quarters, note what passed unshown."""
        now, opened, active = self.clock.now(), self.state["open"], []
        if not self.clock.trusted():
            self.showing = self.trusted_ms = None
            return
        if self.trusted_ms is None:                             # from now on the time is known
            self.trusted_ms, self.booted_ms = now, now - self.clock.mono()
        chain_ms, plan = self.ledger.records[0]["at_ms"], {}
        for cue, name, sheet in self.cues():
            plan[cue["id"]] = cue
            pages = read_pages(sheet["items"][cue["item"]])
            if cue["at_ms"] <= now < cue["end_ms"] and cue["id"] not in self.state["stopped"]:
                if pages:
                    active.append((cue, name, sheet["items"][cue["item"]]["title"], pages))
                elif cue["id"] not in self.done:
                    self.fail(cue, name, sheet, "unsupported")
            elif chain_ms < cue["end_ms"] <= now and cue["id"] not in self.done and not any(
                    r["cue"] == cue["id"] and r["shown"] for r in opened.values()):
                turn = any(r["cue"] == cue["id"] and r["from"] is not None for r in opened.values())
                self.fail(cue, name, sheet, "no-turn" if turn else self.why_missed(cue["end_ms"]))
        for cue, name, title, pages in active:
            quarter = now - now % QUARTER
            begin, end = max(cue["at_ms"], quarter), min(cue["end_ms"], quarter + QUARTER)
            run = opened.setdefault(f"{cue['id']}/{begin}", {
                "cue": cue["id"], "sheet": name, "item": cue["item"], "title": title, "begin": begin, "to": end,
                "end": cue["end_ms"], "from": begin, "seen": now, "shown": 0, "times": 0,
                "gap": now - begin if now - begin > 1000 else 0,
                "cause": self.why_missed(begin)})
            if run["from"] is None:                             # joined again after a boot
                run.update({"from": now, "gap": run["gap"] + now - run["seen"], "seen": now})
        here = self.showing
        if here:                                                # time shown belongs to the pass's quarter
            run = opened.get(here["run"])
            ended = min(now, here["end"])
            if run:
                run["shown"] += max(0, ended - here["since"])
            here["since"] = ended
            gone = not any(c["id"] == here["cue"] for c, *_ in active)
            if gone or now >= here["until"]:
                here["page"] += 1
                if gone or here["page"] == len(here["pages"]):
                    if run and here["page"] == len(here["pages"]) and here["until"] <= min(now, here["end"]):
                        run["times"] += 1
                    self.showing = here = None
                else:
                    self.draw(now)
        for run in list(opened.values()):
            run["seen"] = max(run["seen"], now) if run["from"] is not None else run["seen"]
            busy = here and here["run"] == f"{run['cue']}/{run['begin']}"
            if run["cue"] not in plan or plan[run["cue"]]["item"] != run["item"] or (
                    plan[run["cue"]]["end_ms"] <= now < run["end"]):
                self.close(run, now, "withdrawn")
            elif now >= run["to"] and not busy:
                self.close(run, now)
        if not here and active:
            self.state["turn"] = (self.state["turn"] + 1) % len(active)     # kept: fair over restarts
            cue, name, title, pages = active[self.state["turn"]]
            begin = max(cue["at_ms"], now - now % QUARTER)
            self.showing = {"run": f"{cue['id']}/{begin}", "cue": cue["id"], "end": cue["end_ms"],
                            "pages": pages, "page": 0, "since": now, "title": title}
            self.draw(now)
        if opened and time.monotonic() - self.saved_at > 2:     # how far a power cut can set us back
            self.saved_at = time.monotonic()
            self.save()

    def draw(self, now):
        page = self.showing["pages"][self.showing["page"]]
        self.showing["until"] = now + page["dwell_ms"]
        lines, align = page["text"].split("\n"), {"left": str.ljust, "right": str.rjust}
        width = max(map(len, lines))
        print(f"── {self.showing['title']} ({self.showing['page'] + 1}/{len(self.showing['pages'])})")
        for line in lines:
            print("   " + align.get(page.get("align"), str.center)(line, width).rstrip())
        sys.stdout.flush()

    # -- the wire: §4, §12 --
    def connect(self):
        self.state["conn"] += 1
        self.save()
        url = urllib.parse.urlsplit(self.me["broker"])
        c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self.id, clean_session=True,
                        reconnect_on_failure=False)
        c.username_pw_set(self.me["user"], self.me["password"])
        if url.scheme == "mqtts":
            c.tls_set_context(ssl.create_default_context(cadata=self.me["ca"]))
        c.will_set(f"{self.prefix}d/{self.id}/state", json.dumps(
            {"v": 1, "state": "lost", "conn": self.state["conn"]}), 1, True)
        c.on_connect = lambda c, u, f, rc, p: self.queue.put(("up", c, rc))
        c.on_message = lambda c, u, m: self.queue.put(("message", m.topic, m.payload))
        def run():
            try:
                c.connect(url.hostname, url.port or (8883 if url.scheme == "mqtts" else 1883), 60)
                c.loop_forever()
            except OSError as e:
                print("broker:", e, file=sys.stderr)
            self.queue.put(("down", c, None))
        self.client = c
        threading.Thread(target=run, daemon=True).start()

    def say(self, state="ready", ask=False):
        st, c = self.state, self.clock
        docs = {k: v["ver"] for k, v in st["docs"].items()}
        body = {"v": 1, "state": state, "conn": st["conn"], "chain": self.ledger.chain, "head": self.ledger.head(),
                "seq": len(self.ledger.lines), "upto": st["upto"], "held": self.held()[:128],
                "ver": {"keys": len(self.epochs), "timetable": docs.get("timetable", 0),
                        "following": (st["follow"] or {"ver": 0})["ver"], "floor": docs.get("floor", 0)},
                "want": [{"kind": "asset" if k in ("sums", "chunk") else k, "sha256": n, "kib": 64} for k, n in
                         dict.fromkeys((("sheet" if k == "sheet" else "asset"), n) for _, k, n, _ in
                                       self.fetch.missing() if self.fetch.vain.get(n, 0) >= 3)][:128]}
        now = time.monotonic()
        if not ask and body == self.said or not ask and state == "ready" and now < self.said_at + 5:
            return None
        self.said, self.said_at = body, now
        disk = shutil.disk_usage(self.dir)
        extra = {"clock": c.quality(), "fw": FW, "storage": {
            "total": disk.total, "free": disk.free, "pending": len(self.ledger.lines) - st["upto"],
            "stored": len(self.ledger.lines)}}
        if ask:
            self.nonce, self.asked_at = b64(secrets.token_bytes(16)), now
            extra["nonce"] = self.nonce
        return self.client.publish(f"{self.prefix}d/{self.id}/state", json.dumps({**body, **extra}), 1, True)

    def publish_records(self, first, last):
        lines, size = [], 0
        for line in self.ledger.lines[first - 1:min(last, first + 511)]:
            size += len(line) + 1
            if size > BATCH:
                break
            lines.append(line)
        self.client.publish(f"{self.prefix}r/{sha(self.id)[0]}/{self.id}", "\n".join(lines), 1)

    def wire(self, now):
        if self.client is None:
            if now >= self.retry_at:
                self.connect()
            return
        if not self.online:
            return
        if self.rest_at and now >= self.rest_at:
            self.rest_at = None
            self.client.subscribe([(self.prefix + "server", 1), (f"{self.prefix}d/{self.id}/+", 1)])
            self.say(ask=True)
            self.send_at = now + random.uniform(0, 1.5)
        if self.rest_at:
            return
        worn = self.clock.at is None or self.clock.err() > 5_000
        late = 60 if worn else 21_600
        self.say(ask=not self.clock.system and now > self.asked_at + late)
        self.fetch.tick(now, self.client)
        if self.sent_at and now > self.sent_at + self.send_wait:
            self.sent_at, self.send_wait = None, min(900, self.send_wait * 2)
            self.send_at = now + random.uniform(0, self.send_wait - 20)
        if self.sent_at is None and now >= self.send_at and len(self.ledger.lines) > self.state["upto"]:
            self.publish_records(self.state["upto"] + 1, len(self.ledger.lines))
            self.sent_at = now

    def event(self, what, a, b):
        if what == "message":
            self.take(a, b)
        elif a is self.client and what == "up" and not b.is_failure:
            self.online, self.bound, self.sent_at, self.rest_at = True, 1, None, time.monotonic() + 5
            self.fetch.asked, self.fetch.answered = {}, []
            self.client.publish(f"{self.prefix}d/{self.id}/state", json.dumps(
                {"v": 1, "state": "init", "conn": self.state["conn"]}), 1, True)
            self.client.subscribe(self.prefix + "keys", 1)
        elif a is self.client and what == "down":
            self.client, self.online = None, False
            self.retry_at = time.monotonic() + random.uniform(0, self.bound)
            self.bound = min(300, self.bound * 2)

    def run(self):
        beat = time.monotonic()
        while not self.ending:
            now = time.monotonic()
            try:
                self.event(*self.queue.get(timeout=0.1))
            except queue.Empty:
                pass
            self.follow()
            self.play()
            self.wire(now)
            hour = self.clock.now() // 3_600_000
            self.tell_refusals(lambda key: int(key.rsplit(" ", 1)[1]) != hour)
            if now > beat + BEAT:
                beat = now
                self.record("beat", head=self.ledger.head(), pending=len(self.ledger.lines) - self.state["upto"],
                            stored=len(self.ledger.lines))
        for run in list(self.state["open"].values()):           # a proper end
            self.close(run, self.clock.now(), "off")
        self.tell_refusals(lambda key: True)
        self.state["clean"] = True
        self.save()
        if self.online:
            bye = self.say("disconnected")
            bye.wait_for_publish(2)
            self.client.disconnect()

    def tell_refusals(self, ripe):
        """§11: one record for each topic, reason and hour."""
        for key in [k for k in self.state["refused"] if ripe(k)]:
            self.record("refuse", **self.state["refused"].pop(key))
            self.save()

    ending = False


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--data", required=True, help="folder of this one device")
    args.add_argument("--enrol", metavar="CODE", help="code from the operator, once")
    args.add_argument("--clock", choices=["server", "system"], default="server", help="whom to ask for the time")
    args.add_argument("--insecure", action="store_true", help="allow enrolment over plain http off this machine")
    args = args.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")
    if args.enrol:
        try:
            return enrol(args.enrol, args.data, args.insecure)
        except Refused as e:
            sys.exit(f"nothing was kept: {e}")
    board = Board(args.data, args.clock == "system")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(board, "ending", True))
    board.run()


if __name__ == "__main__":
    main()
