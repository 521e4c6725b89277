"""Judges a log that the test program wrote, with other people's code: tlog-scales, aics-tlog and
aics-witness. Usage: judge_log.py FOLDER; FOLDER/manifest.json says what lies where. Prints a line
for each thing found right; exits 1 at the first that is not."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aics_tlog
from aics_witness.config import LogConfig
from aics_witness.service import Witness, WitnessError
from aics_witness.store import WitnessStore
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales import signing, tiles
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.tlog import Checkpoint, ConsistencyProof
from tlog_scales.utils import b64dec

FOLDER = Path(sys.argv[1]).resolve()
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
LOG = FOLDER / MANIFEST["log"]
SIZE = MANIFEST["size"]


def found(right, what):
    if not right:
        print(f"WRONG: {what}")
        sys.exit(1)
    print(f"right: {what}")


def reader():
    return TilesReader(make_backend(str(LOG)))


def cut(name):
    return (FOLDER / name).read_bytes()


def leaves(size):
    """All leaves as the test program wrote them beside the log, in bundles of no format."""
    data, out = cut("leaves"), []
    while data and len(out) < size:
        length = int.from_bytes(data[:4], "big")
        out.append(data[4 : 4 + length])
        data = data[4 + length :]
    return out


def scales():
    log = reader()
    checkpoint = log.get_checkpoint()
    found(checkpoint.size == SIZE, f"tlog-scales reads a checkpoint of {SIZE} leaves")
    found(log.calculate_root_hash() == checkpoint.root_hash, "tlog-scales: root from the tiles")
    for text in [MANIFEST["vkey"], *MANIFEST["witnesses"]]:
        key = signing.Vkey.from_string(text)
        found(key.serialize() == text, f"tlog-scales reads the key of {key.name}")
        checkpoint.verify(key)
        found(True, f"tlog-scales verifies {key.name} (type {key.sig_type})")
    for index in MANIFEST["indices"]:
        leaf = log.get_entry(index)
        found(leaf == LEAVES[index], f"tlog-scales reads leaf {index}")
        proof = log.get_inclusion_proof(index, SIZE)
        proof.check(tiles.leaf_hash(leaf), checkpoint.root_hash)
        command = [Path(sys.executable).parent / "tlog-tiles", "gen-proof", str(LOG), str(index)]
        theirs = subprocess.run(command, check=True, capture_output=True).stdout
        ours = cut(f"{index}.tlog-proof")
        found(theirs == ours, f"tlog-scales: proof of leaf {index} is byte-identical")
    for old in MANIFEST["consistency"]:
        proof = [b64dec(h) for h in old["proof"]]
        ConsistencyProof(old["size"], SIZE, proof).check(b64dec(old["root"]), checkpoint.root_hash)
        theirs = log.get_consistency_proof(old["size"], SIZE).node_hashes
        found(theirs == proof, f"tlog-scales: growth from {old['size']}")


def flipped():
    """One byte of a bundle is wrong: exactly that entry fails."""
    bundle = LOG / "tile/entries/001"
    good = bundle.read_bytes()
    at, index = 0, 256
    while index < 300:
        at += 2 + int.from_bytes(good[at : at + 2], "big")
        index += 1
    bad = bytearray(good)
    bad[at + 2 + 12] ^= 1
    bundle.write_bytes(bad)
    log = reader()
    root = log.get_checkpoint().root_hash
    failed = []
    for index in range(256, 512):
        try:
            leaf_hash = tiles.leaf_hash(log.get_entry(index))
            log.get_inclusion_proof(index, SIZE).check(leaf_hash, root)
        except Exception:  # noqa: BLE001
            failed.append(index)
    bundle.write_bytes(good)
    found(failed == [300], f"tlog-scales: a flipped byte fails leaf 300 alone ({failed})")


def tlog():
    """aics-tlog: the same tiles from the same leaves, and all of them audited."""
    own = Path(tempfile.mkdtemp())
    written = aics_tlog.TileWriter(LEAVES[:SIZE]).write_to(own)
    for path in written:
        found_here = (LOG / path).read_bytes()
        if found_here != (own / path).read_bytes():
            found(False, f"aics-tlog: {path}")
    found(len(written) > SIZE // 128, f"aics-tlog writes the same {len(written)} files")
    shutil.rmtree(own)
    keys = [aics_tlog.parse_vkey(MANIFEST["vkey"])]
    note = aics_tlog.parse_note((LOG / "checkpoint").read_bytes())
    found(bool(aics_tlog.verify_note(note, keys)), "aics-tlog verifies the note")
    checkpoint = aics_tlog.parse_checkpoint(note.text)
    files = aics_tlog.FileSystemTileReader(LOG)
    root = aics_tlog.tree_root_from_tiles(files, SIZE)
    found(root == checkpoint.root, "aics-tlog: root from the tiles")


def request(name):
    return cut(f"requests/{name}")


def witness():
    """aics-witness cosigns honest growth and refuses forks signed with the log's own key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([77]) * 32)
    vkeys = (aics_tlog.parse_vkey(MANIFEST["vkey"]),)
    database = Path(tempfile.mkdtemp()) / "witness.db"
    store = WitnessStore(database, create=True)
    judge = Witness("aics.example/w", key, store, [LogConfig(MANIFEST["origin"], vkeys)])
    (FOLDER / "aics.vkey").write_text(judge.vkey_text)

    def status(name):
        try:
            (FOLDER / f"requests/{name}.answer").write_bytes(judge.add_checkpoint(request(name)))
            return 200
        except WitnessError as error:
            return error.status

    for name, wanted in MANIFEST["requests"]:
        got = status(name)
        found(got == wanted, f"aics-witness answers {got} to {name}")


def later_keys():
    """A cosignature of a later type (ML-DSA-44) beside the others."""
    signer = signing.MLDSA44CosignatureSigner("later.example/w", bytes([5]) * 32)
    checkpoint = Checkpoint.from_text((LOG / "checkpoint").read_text())
    line = signer.sign(checkpoint)
    signer.vkey.get_verifier().verify(line.payload, checkpoint)
    checkpoint.signatures.append(line)
    (FOLDER / "later.checkpoint").write_text(checkpoint.serialize())
    (FOLDER / "later.vkey").write_text(signer.vkey.serialize())
    found(True, "tlog-scales cosigns with ML-DSA-44")


LEAVES = leaves(SIZE)
scales()
flipped()
tlog()
witness()
later_keys()
print("all right")
