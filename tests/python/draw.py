"""Draws again what `loa audit sample` drew: the ground's text on stdin, how many as argument."""
import hashlib, sys
text, wanted = sys.stdin.buffer.read(), int(sys.argv[1])
plays = int(dict(line.split(" ", 1) for line in text.decode().split("\n")[1:-1])["plays"])
seed, drawn, counter = hashlib.sha256(text).digest(), [], 0
while len(drawn) < min(wanted, plays):
    number = hashlib.sha256(seed + b"\x01" + counter.to_bytes(8, "big")).digest()[:8]
    number, counter = int.from_bytes(number, "big"), counter + 1
    if number < 2**64 // plays * plays and number % plays not in drawn:
        drawn.append(number % plays)
print(seed.hex(), *drawn)
