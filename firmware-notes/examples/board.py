#!/usr/bin/env python3
"""A LED board that speaks the contract of `firmware-notes/README.md`; § points into it.

    board.py --enrol CODE --data DIR      once: becomes the device the code was made for
    board.py --data DIR                   from then on: shows its pages here, and proves it

Checks that a product needs and this example leaves out: keys of small order, `iat` and clashing
roles of key epochs, retired keys (refused here), parking, drift and lower bound of the clock,
sizes, counts and ranges (§7, §14). Duties it leaves out: TLS (so: loopback only), commands, drills, moves
to other units, clips
and the quiet floor, `refuse` records (it prints the word), records of cues never shown, of quarters
of an hour and of a clock that was set, growing waits, `want`, server presence, checkpoints of the
evidence log (it keeps every record for ever, so none is forgotten too early). Pages are text here:
no `frame`, so grade 2. It fills in no fields: a cue whose text holds one fails, `unsupported`.
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
    """§1: an object of version 1 in which no member stands twice."""
    def pairs(members):
        need(len(dict(members)) == len(members), "json")
        return dict(members)
    doc = json.loads(raw, object_pairs_hook=pairs)
    need(doc.get("v", 1) == 1, "unsupported")
    return doc

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
    need((head["kid"], role) in keys, "unknown-key")
    try:
        jwt.PyJWS().decode(text, keys[head["kid"], role], algorithms=["EdDSA"])
    except jwt.PyJWTError:
        raise Refused("signature") from None
    return claims_of(text)

def read_epochs(body, pin):
    """The body of `keys` → (its epochs, the keys of the newest as {(kid, role): key})."""
    epochs, prev, signers, revoked = strict(body)["epochs"], None, set(), set()
    root = claims_of(epochs[0])["root"]
    for number, text in enumerate(epochs, 1):           # each is signed by the root named before
        kid, key = read_key(root)
        epoch = verify(text, "keys", "root", {(kid, "root"): key})
        need((epoch["epoch"], epoch["prev"]) == (number, prev), "epoch")
        prev, root = sha(text), epoch["root"]
        signers.add(kid)
        revoked.update(epoch["revoked"])                # for ever, whatever a later one names
    need(pin in signers, "root")
    named = [(role, *read_key(jwk)) for role, jwks in epoch["roles"].items() for jwk in jwks]
    return epochs, {(kid, role): key for role, kid, key in named if kid not in revoked}

def public(key):
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}

def sign(key, typ, claims):
    header = {"typ": f"loa-{typ}+jwt", "kid": read_key(public(key))[0]}
    return jwt.encode({"v": 1, **claims}, key, "EdDSA", header)

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
    write(folder / "state.json", json.dumps({
        "holds": {}, "notices": {}, "withdrawn": {}, "keys": body, "timetable": None, "following": None, "conn": 0, "boot": 0, "clean": True,
        "upto": 0, "open": {}}).encode())
    print("enrolled as", me["id"])

def words_of(page):
    """§7: the text of a page; None when it is none, or holds a field that has to be filled in."""
    text = page.get("text")
    bare = "{" if text is None else text.replace("{{", "").replace("}}", "")
    return None if set(bare) & set("{}") else text.replace("{{", "{").replace("}}", "}")

class Board:
    def __init__(self, folder):
        self.dir, self.start, self.ending = folder, time.monotonic(), False
        self.me, self.state = load(folder / "device.json"), load(folder / "state.json")
        self.prefix = self.me["prefix"] + "/"
        self.own = f"{self.prefix}d/{self.me['id']}/"
        self.epochs, self.keys = read_epochs(self.state["keys"], self.me["pin"])
        self.key = Ed25519PrivateKey.from_private_bytes((folder / "device.key").read_bytes())
        self.offset, self.synced, self.half = int(time.time() * 1000), None, 0
        self.cue, self.pages, self.until, self.turn, self.parts = None, [], 0, -1, {}

        # §11: the ledger goes on where it ended, and what a power cut left open is closed
        self.path = folder / "records.jws"
        self.path.touch()
        whole = self.path.read_bytes().rpartition(b"\n")[0]
        self.lines, unclean = whole.decode().split(), not self.state["clean"]
        os.truncate(self.path, len(whole) + bool(whole))    # a torn last line was never sent
        self.chain = claims_of(self.lines[-1])["chain"] if self.lines else secrets.token_hex(16)
        self.save(boot=self.state["boot"] + 1, clean=False)
        if not self.lines:
            self.record("chain", why="enrolled")
        self.record("boot", fw="board.py 1", reason="restart", unclean=unclean)
        for cue in list(self.state["open"]):
            self.close(cue, "power")

    def save(self, **changes):
        self.state.update(changes)
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
        signers = {"timetable": "schedule", "time": "time", "receipt": "receipt"}
        name = topic.rpartition("/")[2]
        try:
            if body and topic == self.prefix + "keys":  # an empty body never changes anything
                self.take_keys(body.decode())
            elif body and topic == self.asked:
                self.take_file(topic.split("/"), body)
            elif body and topic.startswith(self.prefix + "u/"):
                self.take_order(topic.split("/"), body.decode())
            elif body and name in signers:
                claims = verify(body.decode(), name, signers[name], self.keys)
                need(claims["aud"] == self.me["id"], "aud")
                getattr(self, "take_" + name)(claims, body.decode())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            print(f"refused: {topic}: {e if type(e) is Refused else 'member'}", file=sys.stderr)

    def take_keys(self, body):
        epochs, keys = read_epochs(body, self.me["pin"])
        need(epochs[:len(self.epochs)] == self.epochs, "conflict")
        if len(epochs) > len(self.epochs):
            self.epochs, self.keys = epochs, keys
            self.save(keys=body, timetable=None, following=None)    # who signed may be revoked
            self.client.subscribe(self.own + "timetable", 1)        # so judge it again
        if not self.ready:                              # listen first, then ask for the time
            self.client.subscribe(self.own + "+", 1)
            for unit in self.me["units"]:
                self.client.subscribe(f"{self.prefix}u/{unit}/urgent/+", 1)
                self.client.subscribe(f"{self.prefix}u/{unit}/hold", 1)
            self.ready, self.send_at = True, self.mono() + random.randrange(1_500)
            self.ask()

    def take_timetable(self, claims, text):
        old = self.state["timetable"]
        if text != old:                                 # else the retained copy again
            need(not old or claims["ver"] > claims_of(old)["ver"], "version-low")
            need(not self.synced or claims["exp"] * 1000 > self.now(), "expired")
            need(all(set(d["sheet"]) <= set("0123456789abcdef") for d in claims["days"]), "member")
            self.save(timetable=text)
            self.fetch()

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
            self.send_at = 0
            print(f"receipt: records up to {upto} are safe", file=sys.stderr)

    # ---- §17: what reaches the devices of a unit; kept before it is obeyed
    def take_order(self, path, text):
        typ, units = strict(unb64(text.split(".")[0])).get("typ"), self.me["units"]
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
                self.answer(jti, "withdrawal", "done" if notices.pop(jti, None) else "kept")
        else:
            notice = verify(text, "urgent", "urgent", self.keys)    # a drill is another `typ`
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
        held = any(now < hold["until_ms"] for hold in self.state["holds"].values())
        return found if found or held else None

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
            self.save(following=self.state["timetable"])    # all its sheets are here
        for name in self.assets:
            if not (self.dir / name).exists():
                got = len(self.parts.get(name, []))     # the sums count as one
                return f"{self.prefix}a/{name}/32/{got - 1 if got else 'sums'}"

    def take_file(self, path, body):
        if path[-2] == "s":
            need(sha(body) == path[-1], "hash")
            strict(body)
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
        failed = self.state.setdefault("failed", {})
        if cue["id"] not in failed:
            for old in [old for old, end in failed.items() if end < self.now() - 86_400_000]:
                del failed[old]
            failed[cue["id"]] = cue["end_ms"]
            self.save()
            self.record("show", **{**record, "from_ms": cue["at_ms"], "to_ms": cue["end_ms"],
                                   "grade": 1}, outcome="failed", cause="unsupported")

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
            run["times"] += not self.pages
        if due and (self.cue not in due or not self.pages):
            self.turn += 1
            self.cue = list(due)[self.turn % len(due)]
            run, self.pages, end = due[self.cue]
            if "jti" in run and self.cue not in runs:
                self.record("start", jti=self.cue, n=1, started_ms=now)
            runs.setdefault(self.cue, (run, end))[0]["to_ms"] = now
        if due:
            page = self.pages.pop(0)
            self.until = now + page["dwell_ms"]
            self.save()                                 # first: the power may fail while it shows
            print(page["text"], end="\n\n", flush=True)

    def close(self, cue, cause):
        run, _ = self.state["open"].pop(cue)
        self.record("show", **run, cause=cause, outcome={
            "end": "played", "pre-empted": "pre-empted"}.get(cause, "partial"))
        self.save()

    # ---- §4, §12: the connection
    def connect(self):
        self.ready, self.nonce, self.asked, self.fetch_at = False, None, None, 0
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
            client.subscribe(self.prefix + "keys", 1)   # the rest when it has come

    def presence(self, state, **more):
        return json.dumps({"v": 1, "state": state, "conn": self.state["conn"], **more})

    def ask(self):
        self.nonce, self.asked_ms = b64(secrets.token_bytes(16)), self.mono()
        self.client.publish(self.own + "state", self.presence("ready", nonce=self.nonce), 1, True)

    def wire(self):
        if self.client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
            raise OSError("connection lost")
        if self.ready:
            if self.mono() > self.asked_ms + (3_600_000 if self.synced else 60_000):
                self.ask()
            if self.mono() > self.fetch_at:
                self.fetch()
            self.send()

    def send(self):
        """All records without a receipt in one batch, and again after 20 s."""
        lines = "\n".join(self.lines[self.state["upto"]:][:512])
        if len(lines) > 65_536:
            lines = lines[:65_536].rpartition("\n")[0]
        if lines and self.mono() >= self.send_at:
            self.client.publish(f"{self.prefix}r/{sha(self.me['id'])[0]}/{self.me['id']}", lines, 1)
            self.send_at = self.mono() + 20_000

    def run(self):
        self.client, beat = None, self.mono() + 1_800_000
        while not self.ending:
            try:
                self.wire() if self.client else self.connect()
            except OSError as e:
                print("broker:", e, file=sys.stderr)
                self.client = None
                time.sleep(random.uniform(0, 10))
            self.step()
            if self.mono() > beat:
                beat, stored = self.mono() + 1_800_000, len(self.lines)
                self.record("beat", head=None, pending=stored - self.state["upto"], stored=stored)
        for cue in list(self.state["open"]):
            self.close(cue, "off")
        self.save(clean=True)
        if self.client:
            self.client.publish(self.own + "state", self.presence("disconnected"), 1, True)
            self.client.loop(0.5)

if __name__ == "__main__":
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--data", required=True, type=pathlib.Path, help="folder of this device")
    args.add_argument("--enrol", metavar="CODE", help="code from the operator, once")
    args = args.parse_args()
    os.umask(0o077)                                     # the key is nobody else's to read
    if args.enrol:
        sys.exit(enrol(args.enrol, args.data))
    board = Board(args.data)
    signal.signal(signal.SIGTERM, lambda *_: setattr(board, "ending", True))
    board.run()
