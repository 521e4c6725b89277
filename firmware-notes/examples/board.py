#!/usr/bin/env python3
"""A LED board that speaks the contract of `firmware-notes/README.md`; § points into it.

    board.py --enrol CODE --data DIR      once: becomes the device the code was made for
    board.py --data DIR                   from then on: shows its pages here, and proves it
        --font loa-13.bdf --size 128x32   draws pixels, and proves them by their hash

It passes `loa conform`. Checks that a product needs and this example leaves out: keys of small
order, `iat` and clashing roles of key epochs, drift and lower bound of the clock, most counts and
ranges (§7, §14). Duties it leaves out: TLS (so: loopback only), clips and the quiet floor, records
of a clock that was set, `want`, the hourly limit on answers (§17), checkpoints of the evidence log
(it keeps every record for ever, so none is forgotten too early). Without a font pages are text
here: no `frame`, so grade 2; with one, texts of one line are drawn and all others stay text. It
fills in no fields: a cue whose text holds one fails, `unsupported`.
"""
import argparse, base64, functools, hashlib, hmac, json, os, pathlib, random, secrets, signal
import sys, time, urllib.parse, urllib.request

import jwt
import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

class Refused(ValueError):
    """Carries one word of §15."""

def need(good, word):
    if not good:
        raise Refused(word)

def sha(data):
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def unb64(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(b64(data) == text, "jws")                      # one spelling only
    return data

def strict(raw):
    """§1: an object of version 1 in which no member stands twice and every number is whole."""
    def pairs(members):
        need(len(dict(members)) == len(members), "json")
        return dict(members)
    def whole(text):
        need(text != "-0" and abs(int(text)) < 2**53, "json")
        return int(text)
    def never(_):
        raise Refused("json")
    doc = json.loads(raw, object_pairs_hook=pairs, parse_int=whole, parse_float=never,
                     parse_constant=never)
    need(doc.get("v", 1) == 1, "unsupported")
    return doc

# §14: bytes of what comes on a topic that ends so, and of a notice
LIMITS = {"keys": 65_536, "timetable": 8_192, "command": 2_048, "time": 1_024, "receipt": 4_096,
          "server": 4_096, "hold": 2_048}

def write(path, data, mode="wb"):
    """Durable when it returns; all or nothing, unless it appends ("ab")."""
    with open(path if mode == "ab" else f"{path}.new", mode) as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    if mode == "wb":
        os.replace(f.name, path)

@functools.lru_cache(64)
def load(path):
    return json.loads(path.read_bytes())

# ---- §2, §5: signatures and keys
def claims_of(text):
    return strict(unb64(text.split(".")[1]))

def read_key(jwk):
    """A public key → (its thumbprint, the key)."""
    thumb = hashlib.sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % jwk["x"].encode()).digest()
    return b64(thumb), Ed25519PublicKey.from_public_bytes(unb64(jwk["x"]))

def verify(text, typ, role, keys):
    """The claims of a signed document. `keys` says who may sign what, never the header."""
    head = strict(unb64(text.split(".")[0]))
    need(set(head) == {"alg", "typ", "kid"}, "header")
    need(head["typ"] == f"loa-{typ}+jwt", "typ")
    need(any(head["kid"] == kid for kid, _ in keys), "unknown-key")
    need((head["kid"], role) in keys, "role")
    key, _, retired = keys[head["kid"], role]
    need(key, "revoked")
    try:
        jwt.PyJWS().decode(text, key, algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise Refused("signature") from None
    claims = claims_of(text)
    need(retired is None or claims["iat"] * 1000 <= retired, "retired")
    return claims

def read_epochs(body, pin):
    """The body of `keys` → (its epochs, {(kid, role): (key or None, its epoch, retired_ms)})."""
    epochs, prev, signers, revoked = strict(body)["epochs"], None, set(), set()
    root, since = claims_of(epochs[0])["root"], {}
    for number, text in enumerate(epochs, 1):           # each is signed by the root named before
        kid, key = read_key(root)
        epoch = verify(text, "keys", "root", {(kid, "root"): (key, number, None)})
        need((epoch["epoch"], epoch["prev"]) == (number, prev), "epoch")
        prev, root = sha(text), epoch["root"]
        signers.add(kid)
        revoked.update(epoch["revoked"])                # for ever, whatever a later one names
        for role, jwks in epoch["roles"].items():
            for jwk in jwks:
                since.setdefault((read_key(jwk)[0], role), number)
    need(pin in signers, "root")
    keys = {known: (None, number, None) for known, number in since.items()}     # left out: revoked
    live = [(role, jwk, None) for role, jwks in epoch["roles"].items() for jwk in jwks]
    gone = [(old["role"], old["key"], old["retired_ms"]) for old in epoch["retired"]]
    for role, jwk, retired in gone + live:
        kid, key = read_key(jwk)
        keys[kid, role] = (None if kid in revoked else key, since.get((kid, role), 1), retired)
    return epochs, keys

def public(key):
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}

def sign(key, typ, claims):
    header = {"typ": f"loa-{typ}+jwt", "kid": read_key(public(key))[0]}
    return jwt.encode({"v": 1, **claims}, key, "EdDSA", header)

# What is kept besides the key, the records and the files
NEW = {"holds": {}, "notices": {}, "drills": {}, "withdrawn": {}, "timetable": None,
       "following": None, "last": [0, 0], "conn": 0, "boot": 0, "clean": True, "upto": 0,
       "open": {}, "jtis": {}, "told": {}, "seen": {}, "alive": 0, "force": 0}

# ---- §11 and fonts.md: pixels, where there is a font for them
class Font:
    """A BDF font on a panel of one colour: one line of text in the middle, else no pixels."""
    def __init__(self, path, size):
        self.wide, self.high = map(int, size.split("x"))
        self.glyphs, rows = {}, None
        for line in open(path, encoding="utf-8"):
            word, *rest = line.split() or [""]
            if word == "FONTBOUNDINGBOX":
                self.box = int(rest[1]), int(rest[3])
            elif word in ("ENCODING", "DWIDTH"):
                code, width = (int(rest[0]), 0) if word == "ENCODING" else (code, int(rest[0]))
            elif word == "BBX":
                box = list(map(int, rest))
            elif word == "BITMAP":
                rows = []
            elif word == "ENDCHAR":
                self.glyphs[chr(code)], rows = (width, box, rows), None
            elif rows is not None:
                rows.append(int(word, 16) >> (len(word) * 4 - box[0]))

    def draw(self, text):
        """The rows of the panel as whole numbers, leftmost pixel highest; None: not drawn here."""
        if not text or any(c not in self.glyphs for c in text):
            return None
        width = sum(self.glyphs[c][0] for c in text)
        line, (tall, below) = 0, self.box
        if width > self.wide or tall > self.high:
            return None
        panel = [0] * self.high
        x, top = (self.wide - width) // 2, (self.high - tall) // 2
        for c in text:
            step, (w, h, left, bottom), rows = self.glyphs[c]
            for n, bits in enumerate(rows):
                y = top + tall + below - bottom - h + n
                panel[y] |= bits << (self.wide - x - left - w)
            x += step
        return panel

    def packed(self, panel):
        """One bit a pixel, rows padded to whole bytes: what `frame` is the hash of."""
        size = -(-self.wide // 8)
        return b"".join((row << size * 8 - self.wide).to_bytes(size, "big") for row in panel)

# ---- §3: enrolment
def enrol(text, folder):
    code = strict(unb64(text.strip().rpartition("#")[2].removeprefix("loa1.")))
    need(code["url"].startswith("http://"), "only http here")
    need(not (folder / "device.json").exists(), "this folder is enrolled already")
    key = Ed25519PrivateKey.generate()
    secret, nonce = unb64(code["secret"]), b64(secrets.token_bytes(16))
    proof = f"loa-enrol-1\n{read_key(public(key))[0]}\n{nonce}".encode()
    request = sign(key, "enrol-request", {
        "code": sha(b"loa-enrol-id-1\n" + secret)[:32], "key": public(key), "nonce": nonce,
        "mac": b64(hmac.digest(secret, proof, "sha256"))})
    answer = strict(urllib.request.urlopen(urllib.request.Request(
        code["url"] + "/enrol", request.encode(), {"Content-Type": "application/jwt"})).read())
    body = json.dumps(answer["keys"])
    _, keys = read_epochs(body, code["root"])
    me = verify(answer["body"], "enrol-answer", "policy", keys)
    need(me["request"] == sha(request), "nonce")
    need(verify(answer["floor"], "floor", "policy", keys)["aud"] == me["id"], "aud")
    folder.mkdir(0o700, parents=True, exist_ok=True)
    write(folder / "device.key", key.private_bytes_raw())
    write(folder / "device.json", json.dumps({**me, "pin": code["root"]}).encode())
    write(folder / "state.json", json.dumps({**NEW, "keys": body}).encode())
    print("enrolled as", me["id"])

def words_of(page):
    """§7: the text of a page; None when it is none, or holds a field that has to be filled in."""
    text = page.get("text")
    bare = "{" if text is None else text.replace("{{", "").replace("}}", "")
    return None if set(bare) & set("{}") else text.replace("{{", "{").replace("}}", "}")

class Board:
    def __init__(self, folder, font=None):
        self.dir, self.start, self.ending, self.font = folder, time.monotonic(), False, font
        self.me, self.state = load(folder / "device.json"), {**NEW, **load(folder / "state.json")}
        self.prefix = self.me["prefix"] + "/"
        self.own = f"{self.prefix}d/{self.me['id']}/"
        self.epochs, self.keys = read_epochs(self.state["keys"], self.me["pin"])
        self.key = Ed25519PrivateKey.from_private_bytes((folder / "device.key").read_bytes())
        self.offset, self.synced, self.half = int(time.time() * 1000), None, 0
        self.cue, self.pages, self.until, self.turn, self.parts = None, [], 0, -1, {}
        self.parked, self.refused, self.bound, self.wait, self.server = {}, {}, 1, 20_000, None

        # §11: the ledger goes on where it ended, and what a power cut left open is closed
        self.path = folder / "records.jws"
        self.path.touch()
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        self.lines, unclean = whole.decode().split(), not self.state["clean"]
        os.truncate(self.path, len(whole) + bool(whole))    # a torn last line was never sent
        self.chain = claims_of(self.lines[-1])["chain"] if self.lines else secrets.token_hex(16)
        self.dark = self.state["alive"], "power" if unclean else "off"
        self.save(boot=self.state["boot"] + 1, clean=False)
        if not self.lines:
            self.record("chain", why="enrolled")
        self.record("boot", fw="board.py 1", reason="restart", unclean=unclean)
        for cue in list(self.state["open"]):
            self.close(cue, "power")

    def save(self, **changes):
        self.state.update(changes)
        if self.synced:
            self.state["alive"] = self.now()
        write(self.dir / "state.json", json.dumps(self.state).encode())

    def mono(self):
        return int((time.monotonic() - self.start) * 1000)

    def now(self):
        return self.offset + self.mono()                # a guess until the server has answered

    def record(self, kind, **members):
        clock = {"src": "none", "age_s": None, "err_ms": None}
        if self.synced:
            age = self.mono() - self.synced
            clock = {"src": "server", "age_s": age // 1000, "err_ms": self.half + age // 20_000}
        line = sign(self.key, "record", {
            "kind": kind, "dev": self.me["id"], "chain": self.chain, "boot": self.state["boot"],
            "seq": len(self.lines) + 1, "prev": sha(self.lines[-1]) if self.lines else None,
            "at_ms": self.now(), "mono_ms": self.mono(), "clock": clock, "seen": None,
            "attestor": "device", **members})
        write(self.path, line.encode() + b"\n", "ab")
        self.lines.append(line)

    # ---- §5, §6, §9, §12: what arrives
    def take(self, topic, body):
        signers = {"timetable": "schedule", "command": "schedule", "time": "time",
                   "receipt": "receipt", "server": "receipt"}
        name = topic.rpartition("/")[2]
        try:
            need(topic == self.asked or len(body) <= LIMITS.get(name, 8_192)
                 or topic == self.own + "state", "limit")
            if body and topic == self.prefix + "keys":  # an empty body never changes anything
                self.take_keys(body.decode())
            elif body and topic == self.asked:
                self.take_file(topic.split("/"), body)
            elif body and topic.startswith(self.prefix + "u/"):
                self.take_order(topic.split("/"), body.decode())
            elif body and name in signers:
                claims = verify(body.decode(), name, signers[name], self.keys)
                need(name == "server" or claims["aud"] == self.me["id"], "aud")
                getattr(self, "take_" + name)(claims, body.decode())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            word = str(e) if type(e) is Refused else "member"
            print(f"refused: {topic}: {word}", file=sys.stderr)
            if word == "unknown-key" and topic != self.prefix + "keys":
                self.parked[topic] = body               # §5: judged again at each new epoch
            else:
                self.refused.setdefault((topic, word), [0, sha(body), self.now()])[0] += 1

    def tell_refused(self, all_of_them):
        """§11: one record per topic, reason and hour."""
        over = [k for k, v in self.refused.items() if all_of_them or self.now() - v[2] > 3_600_000]
        for topic, word in over:
            n, first, since = self.refused.pop((topic, word))
            self.record("refuse", topic=topic, reason=word, n=n, first=first, from_ms=since)

    def take_keys(self, body):
        epochs, keys = read_epochs(body, self.me["pin"])
        need(epochs[:len(self.epochs)] == self.epochs, "conflict")
        if len(epochs) > len(self.epochs):
            self.epochs, self.keys = epochs, keys
            if text := self.state["timetable"]:
                try:
                    verify(text, "timetable", "schedule", keys)
                except Refused:                         # who signed it is revoked
                    self.save(timetable=None, following=None)
            self.save(keys=body)
            parked, self.parked = self.parked, {}
            for topic, waiting in parked.items():
                self.take(topic, waiting)
        if not self.ready:                              # listen first, then ask for the time
            self.listen()

    def listen(self):
        self.client.subscribe(self.prefix + "server", 1)
        self.client.subscribe(self.own + "+", 1)
        for unit in self.units():
            self.client.subscribe(f"{self.prefix}u/{unit}/urgent/+", 1)
            self.client.subscribe(f"{self.prefix}u/{unit}/hold", 1)
        self.ready, self.send_at, self.bound = True, self.mono() + random.randrange(1_500), 1
        self.ask()

    def units(self):
        newest = self.state["timetable"]
        return claims_of(newest)["units"] if newest else self.me["units"]

    def take_timetable(self, claims, text):
        if text != self.state["timetable"]:             # else the retained copy again
            epoch = self.keys[strict(unb64(text.split(".")[0]))["kid"], "schedule"][1]
            new, last = [epoch, claims["ver"]], self.state["last"]
            need(new >= last, "version-low")
            need(new > last or not self.state["timetable"], "conflict")
            need(not self.synced or claims["exp"] * 1000 > self.now(), "expired")
            newest = max(claims["iat"] * 1000, claims["ver"])
            need(not self.synced or newest <= self.now() + 86_400_000, "ahead")
            need(all(set(d["sheet"]) <= set("0123456789abcdef") for d in claims["days"]), "member")
            before = set(self.units())
            self.save(timetable=text, last=new)
            for unit in before - set(claims["units"]):  # §17: moved away
                self.client.unsubscribe(f"{self.prefix}u/{unit}/urgent/+")
                self.client.unsubscribe(f"{self.prefix}u/{unit}/hold")
                self.state["holds"].pop(unit, None)
            for unit in set(claims["units"]) - before:
                self.client.subscribe(f"{self.prefix}u/{unit}/urgent/+", 1)
                self.client.subscribe(f"{self.prefix}u/{unit}/hold", 1)
            self.fetch()

    def take_command(self, claims, _):
        jti, do, now = claims["jti"], claims["do"], self.now()
        need(0 < claims["exp"] - claims["iat"] <= 300, "content")
        if self.synced:
            need(claims["exp"] * 1000 > now, "expired")
            need(claims["iat"] * 1000 <= now + 86_400_000, "ahead")
        need(jti not in self.state["jtis"], "replay")
        self.state["jtis"] = {j: at for j, at in self.state["jtis"].items() if at > now - 3_600_000}
        self.state["jtis"][jti] = now
        result = "unsupported"                          # no light, no sound, no test of itself
        if do == "resend":
            first, last, result = claims["from"], claims["to"], "gone"
            if claims["chain"] == self.chain and 0 < first <= last <= len(self.lines):
                self.publish_records(first - 1, last)
                result = "done"
        elif not self.synced:
            result = "refused: clock"
        elif do == "volume":
            result = "nothing plays"
        elif do == "stop":
            running = [cue for cue in self.state["open"] if cue == self.cue]
            result = "done" if running else "nothing plays"
            for cue in running:
                self.state["told"][cue] = self.state["open"][cue][1]    # it does not come back
                self.close(cue, "stop")
        self.answer(jti, do, result)

    def take_server(self, claims, _):
        fresh = claims["conn"] != self.server and claims["state"] == "ready"
        if fresh and self.server:                       # §13: not the one heard at connecting
            self.wait, self.send_at = 20_000, self.mono() + random.randrange(1_500)
            self.ask()
        self.server = claims["conn"]

    def take_time(self, claims, _):
        need(self.nonce and claims["nonce"] == self.nonce, "nonce")
        need(self.mono() - self.asked_ms < 60_000, "nonce")
        self.nonce, self.half, self.synced = None, (self.mono() - self.asked_ms) // 2, self.mono()
        self.offset = claims["now_ms"] + self.half - self.mono()

    def take_receipt(self, claims, _):
        upto = claims["upto"]
        need(claims["chain"] == self.chain and upto <= len(self.lines), "conflict")
        if upto > self.state["upto"]:
            need(claims["head"] == sha(self.lines[upto - 1]), "conflict")
            self.save(upto=upto)
            self.send_at, self.wait = 0, 20_000
            print(f"receipt: records up to {upto} are safe", file=sys.stderr)

    # ---- §17: what reaches the devices of a unit; kept before it is obeyed
    def take_order(self, path, text):
        typ, units = strict(unb64(text.split(".")[0])).get("typ"), self.units()
        holds, notices, withdrawn = (self.state[n] for n in ("holds", "notices", "withdrawn"))
        if path[-1] == "hold":
            hold = verify(text, "hold", "schedule", self.keys)
            old = holds.get(path[-2])
            need(hold["until_ms"] <= hold["iat"] * 1000 + 31_622_400_000, "content")
            need(hold["unit"] == path[-2] and hold["unit"] in units, "unit")
            need(not old or hold["ver"] >= old["ver"], "version-low")
            need(not old or hold["ver"] > old["ver"] or hold == old, "conflict")
            if hold != old:
                holds[hold["unit"]] = hold
                self.answer(hold["jti"], "hold" if hold["until_ms"] else "release", "done")
        elif typ == "loa-withdrawal+jwt":
            claims = verify(text, "withdrawal", "urgent", self.keys)
            jti = claims["withdraws"]
            self.fresh(claims, withdrawn)
            if jti not in withdrawn:
                withdrawn[jti] = max(claims["exp"], notices.get(jti, claims)["exp"])
                known = [kind.pop(jti, None) for kind in (notices, self.state["drills"])]
                self.answer(jti, "withdrawal", "done" if any(known) else "kept")
        elif typ == "loa-drill+jwt":                    # §17: answered, and never shown
            drill, drills = verify(text, "drill", "urgent", self.keys), self.state["drills"]
            need(set(drill["units"]) & set(units), "unit")
            jti = drill["jti"]
            self.fresh(drill, drills)
            if jti not in drills and jti not in withdrawn:
                need(len(drills) < 16, "limit")
                drills[jti] = drill["exp"]
                self.answer(jti, "drill", "ready" if self.synced else "failed: clock")
        else:
            notice = verify(text, "urgent", "urgent", self.keys)
            need(set(notice["units"]) & set(units), "unit")
            jti = notice["jti"]
            try:
                self.fresh(notice, notices)
                need(jti in notices or jti in withdrawn or len(notices) < 16, "limit")
            except Refused as why:                          # signed for us: people wait for a word
                said, told = [jti, str(why)], self.state.setdefault("declined", [])
                if jti not in notices and jti not in withdrawn and said not in told:
                    told[:] = told[-63:] + [said]
                    self.answer(jti, "urgent", f"refused: {why}")
                raise
            need(notices.get(jti, notice) == notice, "conflict")
            if jti not in withdrawn and jti not in notices:
                notices[jti] = notice
                self.answer(jti, "urgent", "received" if self.synced else "failed: clock")

    def fresh(self, claims, known):
        """Refuses what is over, and forgets what was over a day ago: a clock may be set back."""
        need(not self.synced or claims["exp"] * 1000 > self.now(), "expired")
        over = lambda old: (old if isinstance(old, int) else old["exp"]) + 86_400
        for jti in [jti for jti, old in known.items() if self.synced and over(old) * 1000 < self.now()]:
            del known[jti]

    def answer(self, jti, what, result):
        self.save()
        self.step()                                     # first do it, then say so
        self.record("did", jti=jti, what=what, result=result)

    def urgent(self, now):
        """What is shown instead of all cues: notices, or nothing in a hold; else None."""
        found = {}
        for jti, notice in sorted(self.state["notices"].items(), key=lambda n: n[1]["iat"]):
            if now < notice["exp"] * 1000:
                record = {"jti": jti, "n": 1, "sheet": None, "item": "urgent",
                          "title": notice["reason"], "frame": None, "from_ms": now, "to_ms": now,
                          "times": 0, "shown_ms": 0, "grade": 2}
                found[jti] = record, [{"text": notice["text"], "dwell_ms": 10_000}], \
                    notice["exp"] * 1000
        return found if found or self.held(now) else None

    # ---- §7, §8: files; each is trusted because a signed document named its hash
    def sheets(self, slot):
        """{name: sheet, or None: not here yet}, from yesterday on: a cue may pass midnight."""
        days = claims_of(self.state[slot])["days"] if self.state[slot] else []
        names = [day["sheet"] for day in days if day["to_ms"] > self.now() - 86_400_000]
        return {n: load(self.dir / n) if (self.dir / n).exists() else None for n in names}

    def wanted(self):
        """The one topic to ask for next: sheets, then the sums and the chunks of each asset."""
        sheets, self.assets = self.sheets("timetable"), {}
        for name, sheet in sheets.items():
            if not sheet:
                return f"{self.prefix}s/{name}"
            self.assets.update(sheet["assets"])
        if self.state["following"] != self.state["timetable"]:
            self.save(following=self.state["timetable"], force=self.now())  # all sheets are here
        for name in self.assets:
            if not (self.dir / name).exists():
                got = len(self.parts.get(name, []))     # the sums count as one
                return f"{self.prefix}a/{name}/32/{got - 1 if got else 'sums'}"

    def take_file(self, path, body):
        if path[-2] == "s":
            need(sha(body) == path[-1], "hash")
            self.judge(strict(body))
            write(self.dir / path[-1], body)
        else:
            name, asset = path[-3], self.assets[path[-3]]
            parts = self.parts.setdefault(name, [])
            want = parts[0][32 * len(parts) - 32:][:32].hex() if parts else asset["sums"]["32"]
            need(sha(body) == want, "hash")
            parts.append(body)
            if len(parts) == 1 + -(-asset["bytes"] // 32_768):
                whole = b"".join(self.parts.pop(name)[1:])
                need(sha(whole) == name, "hash")
                write(self.dir / name, whole)
                print("holding asset", name, file=sys.stderr)
        self.fetch()

    def judge(self, sheet):
        """§7: what refuses a whole sheet."""
        last = None
        for cue in sheet["cues"]:
            need(sheet["from_ms"] <= cue["at_ms"] < min(cue["end_ms"], sheet["to_ms"]), "content")
            need(cue["item"] in sheet["items"] and 0 <= cue["volume"] <= 100, "content")
            need(not last or last["at_ms"] <= cue["at_ms"], "content")
            if sheet["items"][cue["item"]].get("kind") == "pages":
                span = cue["at_ms"], cue["end_ms"]
                rotates = last and (last["at_ms"], last["end_ms"]) == span
                need(not last or rotates or last["end_ms"] <= cue["at_ms"], "content")
                last = cue

    def fetch(self):
        """Asks for the next topic; called again after 15 s, and when something has arrived."""
        if self.asked:
            self.client.unsubscribe(self.asked)
        self.asked, self.fetch_at = self.wanted(), self.mono() + 15_000
        if self.asked:
            self.client.subscribe(self.asked, 1)

    # ---- §10: showing
    def due(self, now):
        """{cue: (its `show` record as it begins, its pages, its end)} now, in sheet order."""
        if (urgent := self.urgent(now)) is not None:
            return urgent
        found = {}
        for name, sheet in self.sheets("following").items():
            for cue in sheet["cues"]:
                item = sheet["items"][cue["item"]]
                if cue["id"] in self.state["told"] or cue["end_ms"] > now + 90_000_000:
                    continue
                if cue["at_ms"] <= now < cue["end_ms"] and item.get("kind") == "pages":
                    record = {"cue": cue["id"], "n": 1, "sheet": name, "item": cue["item"],
                              "title": item["title"], "frame": None, "from_ms": now, "to_ms": now,
                              "times": 0, "shown_ms": 0, "grade": 2}
                    pages = [{**page, "text": words_of(page)} for page in item["pages"]]
                    if any(page["text"] is None for page in pages):
                        self.unsupported(cue, record)   # words with holes are no notice
                    else:
                        found[cue["id"]] = record, pages, cue["end_ms"]
        return found

    def unsupported(self, cue, record):
        """Fails a cue, once and alone; the others of its rotation are shown."""
        self.state["told"][cue["id"]] = cue["end_ms"]
        self.save()
        self.record("show", **{**record, "from_ms": cue["at_ms"], "to_ms": cue["end_ms"],
                               "grade": 1}, outcome="failed", cause="unsupported")

    def missed(self, now):
        """§10: every cue gets a record by the time it is over, also one that was not shown."""
        told, seen = self.state["told"], self.state["seen"]
        begun, (alive, dark) = self.start_ms(), self.dark
        for old in (told, seen):
            for cue in [cue for cue, end in old.items() if end < now - 172_800_000]:
                del old[cue]
        held = self.held(now)
        for name, sheet in self.sheets("following").items():
            for cue in sheet["cues"] if sheet else []:
                item, end = sheet["items"][cue["item"]], cue["end_ms"]
                shown = any(cue["id"] in known for known in (told, seen, self.state["open"]))
                if shown or end > now or end <= self.state["force"]:
                    continue
                clock = end <= self.offset + self.synced
                why = ("unsupported" if item.get("kind") != "pages" else
                       dark if alive < end <= begun else "clock" if begun < end and clock else
                       "hold" if held else "late")
                told[cue["id"]] = end
                if end > begun or alive:                # else: before the program first ran
                    self.record("show", cue=cue["id"], n=1, sheet=name, item=cue["item"],
                                title=item.get("title", ""), frame=None, from_ms=cue["at_ms"],
                                to_ms=end, times=0, shown_ms=0, grade=1, cause=why,
                                outcome="refused" if why == "hold" else "failed")
                self.save()

    def start_ms(self):
        return self.now() - self.mono()

    def held(self, now):
        return any(now < hold["until_ms"] for hold in self.state["holds"].values())

    def step(self):
        """Turns the pages, one full pass of each cue in turn; closes the cues that are over."""
        if not self.synced:
            return                                      # without trusted time nothing is shown
        now, runs = self.now(), self.state["open"]
        due = self.due(now)
        for cue in [cue for cue in runs if cue not in due]:
            gone = "jti" in runs[cue][0] or (urgent := self.urgent(now)) is None
            cause = "withdrawn" if gone else "pre-empted" if urgent else "hold"
            self.close(cue, "end" if now >= runs[cue][1] else cause)
        if not due and self.cue:
            self.cue = None
            print("\f", end="", flush=True)             # dark
        if self.cue in due:
            run, _ = runs[self.cue]
            run.update(shown_ms=run["shown_ms"] + now - run["to_ms"], to_ms=now)
            if now < self.until:
                return
            if now // 900_000 > run["from_ms"] // 900_000 and not self.pages:
                self.record("show", **{**run, "times": run["times"] + 1}, cause="end",
                            outcome="played")           # §10: added up per quarter of an hour
                run.update(from_ms=now, times=-1, shown_ms=0)
            run["times"] += not self.pages
        if due and (self.cue not in due or not self.pages):
            self.turn += 1
            self.cue = list(due)[self.turn % len(due)]
            run, self.pages, end = due[self.cue]
            if "jti" in run and self.cue not in runs:
                self.record("start", jti=self.cue, n=1, started_ms=now)
            runs.setdefault(self.cue, (run, end))[0]["to_ms"] = now
        self.missed(now)
        if due:
            page = self.pages.pop(0)
            self.until = now + page["dwell_ms"]
            panel = self.font.draw(page["text"]) if self.font else None
            if panel and not run["frame"] and not run["shown_ms"]:
                run.update(frame=sha(self.font.packed(panel)), grade=3)
            elif not panel:
                run.update(grade=2)                     # words, not pixels: nothing was counted
            self.save()                                 # first: the power may fail while it shows
            for row in panel or []:
                print(f"{row:0{self.font.wide}b}".replace("0", ".").replace("1", "#"))
            print(page["text"], end="\n\n", flush=True)

    def close(self, cue, cause):
        run, end = self.state["open"].pop(cue)
        if "cue" in run:
            self.state["told" if cause in ("end", "stop") else "seen"][cue] = end
        self.record("show", **run, cause=cause, outcome={
            "end": "played", "pre-empted": "pre-empted"}.get(cause, "partial"))
        self.save()

    # ---- §4, §12: the connection
    def connect(self):
        self.ready, self.nonce, self.asked, self.fetch_at = False, None, None, 0
        self.listen_at, self.wait, self.server = None, 20_000, None
        self.save(conn=self.state["conn"] + 1)
        broker = urllib.parse.urlsplit(self.me["broker"])
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self.me["id"])
        self.client.username_pw_set(self.me["user"], self.me["password"])
        self.client.will_set(self.own + "state", self.presence("lost"), 1, True)
        self.client.on_connect = self.connected
        self.client.on_message = lambda _, __, message: self.take(message.topic, message.payload)
        self.client.connect(broker.hostname, broker.port or 1883, 60)

    def connected(self, client, _, __, reason, ___):
        if not reason.is_failure:
            client.publish(self.own + "state", self.presence("init"), 1, True)
            client.subscribe(self.prefix + "keys", 1)   # the rest when it has come, or in 5 s
            self.listen_at = self.mono() + 5_000

    def presence(self, state, **more):
        return json.dumps({"v": 1, "state": state, "conn": self.state["conn"], **more})

    def ask(self):
        self.nonce, self.asked_ms = b64(secrets.token_bytes(16)), self.mono()
        self.client.publish(self.own + "state", self.presence("ready", nonce=self.nonce), 1, True)

    def wire(self):
        if self.client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
            raise OSError("connection lost")
        if not self.ready and self.listen_at and self.mono() > self.listen_at:
            self.listen()
        if self.ready:
            if self.mono() > self.asked_ms + (3_600_000 if self.synced else 60_000):
                self.ask()
            if self.mono() > self.fetch_at:
                self.fetch()
            self.send()

    def send(self):
        """All records without a receipt in one batch, and again after 20 s, then less often."""
        if self.state["upto"] < len(self.lines) and self.mono() >= self.send_at:
            self.publish_records(self.state["upto"], len(self.lines))
            self.send_at = self.mono() + self.wait
            self.wait = random.randrange(20_000, 2 * self.wait) if self.wait < 450_000 else 900_000

    def publish_records(self, first, last):
        lines = "\n".join(self.lines[first:last][:512])
        if len(lines) > 65_536:
            lines = lines[:65_536].rpartition("\n")[0]
        self.client.publish(f"{self.prefix}r/{sha(self.me['id'])[0]}/{self.me['id']}", lines, 1)

    def run(self):
        self.client, beat = None, self.mono() + 1_800_000
        while not self.ending:
            try:
                self.wire() if self.client else self.connect()
            except OSError as e:
                print("broker:", e, file=sys.stderr)
                self.client, self.bound = None, min(2 * self.bound, 300)
                back = self.mono() + random.uniform(0, 1000) * self.bound / 2
                while self.mono() < back and not self.ending:
                    self.step()                         # it shows on without a line
                    time.sleep(0.05)
            self.step()
            self.tell_refused(False)
            if self.mono() > beat:
                beat, stored = self.mono() + 1_800_000, len(self.lines)
                self.record("beat", head=None, pending=stored - self.state["upto"], stored=stored)
        for cue in list(self.state["open"]):
            self.close(cue, "off")
        self.tell_refused(True)
        self.save(clean=True)
        if self.client:
            self.client.publish(self.own + "state", self.presence("disconnected"), 1, True)
            self.client.loop(0.5)

def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--data", required=True, type=pathlib.Path, help="folder of this device")
    args.add_argument("--enrol", metavar="CODE", help="code from the operator, once")
    args.add_argument("--font", type=pathlib.Path, help="a BDF font: pages become pixels")
    args.add_argument("--size", default="128x32", help="of the panel, as 128x32")
    args = args.parse_args()
    os.umask(0o077)                                     # the key is nobody else's to read
    if args.enrol:
        sys.exit(enrol(args.enrol, args.data))
    board = Board(args.data, Font(args.font, args.size) if args.font else None)
    signal.signal(signal.SIGTERM, lambda *_: setattr(board, "ending", True))
    board.run()

if __name__ == "__main__":
    main()
