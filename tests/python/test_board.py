"""Hands the golden notices and holds to the example board: what it does, and what it refuses.

Plain script, like `test_vectors.py`.
"""

import contextlib
import io
import json
import pathlib
import sys
import tempfile

import test_vectors as golden

sys.path.insert(0, str(golden.NOTES / "examples"))
import board  # noqa: E402

NOTICES = golden.load("notices.json")
VECTORS = {vector["name"]: vector for vector in NOTICES["vectors"]}


class Line:
    """Stands for the connection."""

    def subscribe(self, *_):
        pass


def make(folder):
    given = NOTICES["given"]
    seed = next(k["d"] for k in golden.load("keys.json")["keys"] if k["name"] == "device")
    (folder / "device.key").write_bytes(golden.unb64(seed))
    (folder / "device.json").write_text(json.dumps({
        "id": given["me"], "prefix": "loa/1", "pin": given["pin"], "units": given["units"],
        "broker": "mqtt://127.0.0.1:1883", "user": "x", "password": "x"}))
    (folder / "state.json").write_text(json.dumps({
        "holds": {}, "notices": {}, "withdrawn": {}, "keys": given["keys"], "timetable": None,
        "following": None, "conn": 0, "boot": 0, "clean": True, "upto": 0, "open": {}}))
    board.load.cache_clear()
    return start(folder)


def start(folder):
    board.load.cache_clear()
    device = board.Board(folder)
    device.client, device.asked, device.synced = Line(), None, 1
    device.offset = NOTICES["given"]["now_ms"]
    return device


def hand(device, name):
    """Returns what the board put out."""
    vector, out = VECTORS[name], io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        device.take(vector["topic"], vector["body"].encode())
        device.step()
    return out.getvalue()


def did(device):
    claims = [board.claims_of(line) for line in device.lines]
    return [(c["jti"], c["what"], c["result"]) for c in claims if c["kind"] == "did"]


def test_it_shows_a_notice_and_proves_it(tmp_path):
    device = make(tmp_path)
    out = hand(device, "urgent")
    jti = VECTORS["urgent"]["claims"]["jti"]
    assert VECTORS["urgent"]["claims"]["text"] in out
    kinds = [board.claims_of(line)["kind"] for line in device.lines]
    assert kinds.count("start") == 1 and ("received" in {result for _, _, result in did(device)})
    out = hand(device, "withdrawal")
    assert did(device)[-1] == (jti, "withdrawal", "done") and "\f" in out
    shows = [c for c in map(board.claims_of, device.lines) if c["kind"] == "show"]
    assert [(c["jti"], c["outcome"], c["cause"]) for c in shows] == [(jti, "partial", "withdrawn")]
    device = start(tmp_path)
    hand(device, "urgent")                              # it is remembered over a restart
    assert device.state["notices"] == {}


def test_a_withdrawal_that_comes_first_is_not_forgotten(tmp_path):
    device = make(tmp_path)
    hand(device, "withdrawal")
    hand(device, "urgent")
    assert [what for _, what, _ in did(device)] == ["withdrawal"]
    assert device.state["notices"] == {}


def test_it_goes_dark_in_a_hold_and_is_released(tmp_path):
    device = make(tmp_path)
    hand(device, "hold")
    assert device.urgent(device.now()) == {}
    device = start(tmp_path)
    assert device.urgent(device.now()) == {}, "a hold is obeyed after a restart"
    hand(device, "hold")
    hand(device, "release")
    assert device.urgent(device.now()) is None
    assert [(what, result) for _, what, result in did(device)] == [
        ("hold", "done"), ("release", "done")]


def test_a_cue_with_a_field_fails_alone_and_braces_are_shown(tmp_path):
    device, out = make(tmp_path), io.StringIO()
    now = NOTICES["given"]["now_ms"]
    texts = ["Giờ {time}", "Lỗ } hổng", "Ghi {{1}} rõ", "{{{date}}}"]
    items = {f"p/{n}": {"kind": "pages", "title": "T", "pages": [
        {"text": text, "dwell_ms": 0}]} for n, text in enumerate(texts)}
    cues = [{"id": f"{n:032x}", "at_ms": now - 1_000, "end_ms": now + 60_000, "item": item}
            for n, item in enumerate(items)]
    device.sheets = lambda _: {"0" * 64: {"items": items, "cues": cues}}
    with contextlib.redirect_stdout(out):
        for _ in range(4):
            device.step()
    assert set(out.getvalue().split("\n\n")) == {"Ghi {1} rõ", ""}, out.getvalue()
    shows = [c for c in map(board.claims_of, device.lines) if c["kind"] == "show"]
    told = [(int(c["cue"], 16), c["outcome"], c["cause"], c["grade"], c["to_ms"]) for c in shows]
    assert told == [(n, "failed", "unsupported", 1, now + 60_000) for n in (0, 1, 3)], told


def without(state, names):
    return json.dumps({name: value for name, value in state.items() if name not in names})


def test_what_a_device_must_refuse_changes_nothing(tmp_path):
    device = make(tmp_path)
    before = json.loads(json.dumps(device.state))
    left_out = ("limit", "content", "ahead", "member", "revoked")      # see the board's first lines
    refused = 0
    for vector in NOTICES["vectors"]:
        wrong = vector["expect"] not in ("accept", "same", *left_out) and "last" not in vector
        if wrong or vector["typ"] == "loa-drill+jwt":
            shown = hand(device, vector["name"])
            # That it said "refused: expired" is kept, so that it says it once, and that it lives;
            # nothing else is. A drill is known by its id, so that it is answered once.
            mine = {"declined", "alive", "drills"}
            kept = {name: value for name, value in device.state.items() if name not in mine}
            assert json.dumps(kept) == without(before, mine), vector["name"]
            assert not device.urgent(device.now()), (vector["name"], shown)
            refused += 1
    assert refused > 15, refused


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            with tempfile.TemporaryDirectory() as folder:
                test(pathlib.Path(folder))
            print(f"{name} ok")
