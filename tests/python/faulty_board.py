#!/usr/bin/env python3
"""The example board with one fault, for the test of `loa conform`: LOA_FAULT names it."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "firmware-notes/examples"))
import board  # noqa: E402
import jwt  # noqa: E402

Board, FAULTS = board.Board, {}


def fault(function):
    FAULTS[function.__name__] = function
    return function


def wrap(name, around, owner=Board):
    inner = getattr(owner, name)
    setattr(owner, name, lambda *args, **more: around(inner, *args, **more))


@fault
def signature():
    """Believes any signature."""
    def decode(inner, *args, **more):
        try:
            return inner(*args, **more)
        except jwt.InvalidSignatureError:
            return None
    wrap("decode", decode, jwt.PyJWS)


@fault
def root():
    """Believes any root key at enrolment."""
    wrap("read_epochs", lambda inner, body, pin: inner(
        body, board.read_key(board.claims_of(board.strict(body)["epochs"][0])["root"])[0]), board)


@fault
def doubled():
    """Takes the last of two members of one name."""
    def strict(raw):
        doc = board.json.loads(raw, parse_float=lambda _: board.need(False, "json"))
        board.need(doc.get("v", 1) == 1, "unsupported")
        return doc
    board.strict = strict


@fault
def expired():
    """Takes a timetable that has expired."""
    def take(inner, self, claims, text):
        now, self.now = self.now, lambda: min(now(), claims["exp"] * 1000 - 1)
        try:
            inner(self, claims, text)
        finally:
            self.now = now
    wrap("take_timetable", take)


@fault
def chunk():
    """Takes a chunk without looking at its hash."""
    def take(inner, self, path, body):
        if path[-2] == "s" or path[-1] == "sums":
            return inner(self, path, body)
        name = path[-3]
        parts = self.parts[name]
        parts.append(body)
        if len(parts) == 1 + -(-self.assets[name]["bytes"] // 32_768):
            board.write(self.dir / name, b"".join(self.parts.pop(name)[1:]))
        self.fetch()
    wrap("take_file", take)


@fault
def resume():
    """Begins each asset anew on each connection."""
    def connect(inner, self):
        self.parts = {}
        inner(self)
    wrap("connect", connect)


@fault
def empty():
    """Takes an empty body for an order to forget."""
    def take(inner, self, topic, body):
        if not body and topic == self.own + "timetable":
            return self.save(timetable=None, following=None)
        return inner(self, topic, body)
    wrap("take", take)


@fault
def pixels():
    """Lights one lamp too many."""
    wrap("packed", lambda inner, self, panel: inner(self, [panel[0] ^ 1, *panel[1:]]), board.Font)


@fault
def hold():
    """Says that it holds, and shows on."""
    wrap("held", lambda inner, self, now: False)


@fault
def drill():
    """Shows a drill as if it were an emergency."""
    def order(inner, self, path, text):
        typ = board.strict(board.unb64(text.split(".")[0])).get("typ")
        inner(self, path, text)
        if typ == "loa-drill+jwt":
            notice = board.claims_of(text)
            if notice["jti"] in self.state["drills"]:
                self.state["notices"][notice["jti"]] = notice
    wrap("take_order", order)


@fault
def withdrawal():
    """Remembers no withdrawal of a notice that has not come."""
    def order(inner, self, path, text):
        inner(self, path, text)
        self.state["withdrawn"].clear()
    wrap("take_order", order)


@fault
def prev():
    """Names the wrong record as the one before."""
    def sign(inner, key, typ, claims):
        if typ == "record" and claims["seq"] > 3:
            claims = {**claims, "prev": board.sha("something else")}
        return inner(key, typ, claims)
    wrap("sign", sign, board)


@fault
def numbers():
    """Forgets at a start the records that were not receipted, and uses their numbers again."""
    def init(inner, self, folder, font=None):
        state = board.load(folder / "state.json")
        path = folder / "records.jws"
        if path.exists() and state["upto"]:
            path.write_text("".join(f"{line}\n" for line in path.read_text().split()[:state["upto"]]))
        inner(self, folder, font)
    wrap("__init__", init)


@fault
def version():
    """Forgets over a restart which timetable was the newest."""
    def init(inner, self, folder, font=None):
        inner(self, folder, font)
        self.state.update(timetable=None, last=[0, 0])
    wrap("__init__", init)


@fault
def forgets_hold():
    """Forgets holds over a restart."""
    def init(inner, self, folder, font=None):
        inner(self, folder, font)
        self.state["holds"] = {}
    wrap("__init__", init)


@fault
def twice():
    """Obeys a command as often as it comes."""
    def take(inner, self, claims, text):
        self.state["jtis"] = {}
        inner(self, claims, text)
    wrap("take_command", take)


@fault
def receipt():
    """Believes a receipt without comparing the hash."""
    def take(inner, self, claims, text):
        if self.state["upto"] < claims["upto"] <= len(self.lines):
            self.save(upto=claims["upto"])
            self.send_at, self.wait = 0, 20_000
    wrap("take_receipt", take)


@fault
def hammer():
    """Connects again at once, for ever."""
    board.random.uniform = lambda *_: 0


@fault
def nonce():
    """Believes any answer about the time."""
    def take(inner, self, claims, text):
        self.nonce = claims["nonce"]
        inner(self, claims, text)
    wrap("take_time", take)


@fault
def deaf():
    """Asks for the time before it listens."""
    def keys(inner, self, body):
        if not self.ready:
            self.ask()
        inner(self, body)
    wrap("take_keys", keys)


@fault
def revoked():
    """Goes on believing keys that were revoked."""
    def read(inner, body, pin):
        epochs, keys = inner(body, pin)
        known = {}
        for text in epochs:
            for role, jwks in board.claims_of(text)["roles"].items():
                for jwk in jwks:
                    kid, key = board.read_key(jwk)
                    known[kid, role] = key
        return epochs, {k: (v[0] or known[k], len(epochs), v[2]) for k, v in keys.items()}
    wrap("read_epochs", read, board)


FAULTS[os.environ["LOA_FAULT"]]()
board.main()
