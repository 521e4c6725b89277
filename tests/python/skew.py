"""Measures when sound really leaves: starts of `loa play` in a recording of PulseAudio's monitor.

    python skew.py LOA [STARTS]      prints one JSON object

A private PulseAudio with a null sink plays what two players are ordered (one the left channel,
one the right), and its monitor is recorded in one stereo stream. Each recorded sample is placed
in time by the stream's own latency reading, so the figure does not rest on when a process was
woken. A reference click, written by another client with a known place in its own stream, says
how well the method repeats.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import wave

import numpy as np

RATE = 48000
SINK = "skew"


def start_pulse(folder):
    os.environ.update(
        HOME=folder, XDG_RUNTIME_DIR=folder, PULSE_RUNTIME_PATH=folder + "/pulse",
        PULSE_SERVER="unix:" + folder + "/native",
    )
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--system=false", "--exit-idle-time=-1",
         "--use-pid-file=no", "--disable-shm=yes", "--log-target=stderr", "--log-level=error",
         f"--load=module-null-sink sink_name={SINK} rate={RATE} channels=2",
         f"--load=module-native-protocol-unix socket={folder}/native auth-anonymous=1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if subprocess.run(["pactl", "info"], capture_output=True).returncode == 0:
            return server
        time.sleep(0.05)
    server.kill()
    raise SystemExit("PulseAudio does not start")


class Recorder(threading.Thread):
    """Records the monitor and keeps, for each read, where the recording stood in time."""

    def __init__(self):
        super().__init__(daemon=True)
        import pasimple
        self.stream = pasimple.PaSimple(
            pasimple.PA_STREAM_RECORD, pasimple.PA_SAMPLE_S16LE, 2, RATE,
            app_name="skew", device_name=SINK + ".monitor",
            maxlength=4 * RATE * 4, fragsize=4 * RATE // 100)
        self.pieces, self.places, self.done = [], [], False

    def run(self):
        frames = 0
        while not self.done:
            piece = self.stream.read(4 * RATE // 50)
            latency_us = self.stream.get_latency()
            now = time.time()
            frames += len(piece) // 4
            self.pieces.append(piece)
            # The sample after the last one read was captured `latency` ago.
            self.places.append((frames, now - latency_us / 1e6 - frames / RATE))

    def finish(self):
        self.done = True
        self.join()
        samples = np.frombuffer(b"".join(self.pieces), dtype="<i2").reshape(-1, 2)
        return samples, np.array(self.places)


def onsets(channel, threshold=3000, apart=RATE // 5):
    loud = np.flatnonzero(np.abs(channel.astype(np.int32)) > threshold)
    found = []
    for at in loud:
        # Counted from the onset before: a click is much shorter than that.
        if not found or at - found[-1] > apart:
            found.append(int(at))
    return found


def place(places, frame):
    """Time of a frame: median of the readings of two seconds around it."""
    near = np.abs(places[:, 0] - frame) < RATE
    return float(np.median(places[near, 1]) + frame / RATE)


def write_click(path, channel, rate):
    """A 50 ms burst that begins with its first sample at full level, on one channel."""
    with wave.open(path, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(rate)
        for n in range(rate // 20):
            value = 20000 if n % 40 < 20 else -20000
            pair = (value, 0) if channel == 0 else (0, value)
            out.writeframesraw(struct.pack("<hh", *pair))


class Player:
    def __init__(self, loa, clip):
        self.process = subprocess.Popen(
            [loa, "play", "--sink", "default"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=dict(os.environ))
        self.clip, self.events = clip, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def order(self, token, at_ms):
        order = {"play": {"token": token, "path": self.clip, "at_ms": at_ms,
                          "end_ms": at_ms + 1000, "volume": 100}}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def started(self):
        return {e["started"]["token"]: e["started"]["at_ms"] for e in self.events if "started" in e}

    def rss_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


def reference():
    """Clicks one second apart in one stream of another client: their spacing must repeat."""
    import pasimple
    with pasimple.PaSimple(pasimple.PA_STREAM_PLAYBACK, pasimple.PA_SAMPLE_S16LE, 2, RATE,
                           app_name="reference", device_name=SINK,
                           tlength=4 * RATE // 4) as out:
        second = np.zeros((RATE, 2), dtype="<i2")
        second[RATE // 2:RATE // 2 + RATE // 20] = 20000
        out.write(second.tobytes() * 12)
        out.drain()


def summary(skews_ms):
    ordered = np.sort(np.abs(skews_ms))
    return {"n": len(ordered), "median_ms": round(float(np.median(skews_ms)), 3),
            "p99_ms": round(float(ordered[max(0, int(np.ceil(0.99 * len(ordered))) - 1)]), 3),
            "worst_ms": round(float(ordered[-1]), 3),
            "spread_ms": round(float(np.max(skews_ms) - np.min(skews_ms)), 3)}


def main():
    loa, starts = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder:
        server = start_pulse(folder)
        try:
            print(json.dumps(measure(loa, starts, folder)))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=10)


def measure(loa, starts, folder):
    clips = [folder + "/left.wav", folder + "/right.wav"]
    write_click(clips[0], 0, RATE)
    write_click(clips[1], 1, 44100)  # the second one goes through the resampler
    players = [Player(loa, clip) for clip in clips]

    # The method first, by itself, while the players hand out silence: the server then works at
    # the pace that is measured afterwards.
    recorder = Recorder()
    recorder.start()
    time.sleep(2)  # the first second of a recording is not placed yet
    reference()
    samples, places = recorder.finish()
    clicks = [place(places, at) for at in onsets(samples[:, 0])]
    # The server settles on a latency while the first clicks are under way.
    spacing = np.diff(clicks[4:]) * 1000 - 1000

    recorder = Recorder()
    recorder.start()
    time.sleep(1.5)
    first = int(time.time() * 1000) + 1500
    due = []
    for n in range(starts):
        # Odd steps, so that starts fall everywhere between blocks.
        at_ms = first + n * 437
        due.append(at_ms)
        while time.time() * 1000 < at_ms - 1200:
            time.sleep(0.02)
        for player in players:
            player.order(n, at_ms)
    time.sleep(2.5)
    memory = max(player.rss_mb() for player in players)
    started = [player.started() for player in players]
    for player in players:
        player.close()
    samples, places = recorder.finish()

    result = {"reference_repeats_ms": round(float(np.max(np.abs(spacing))), 3),
              "player_peak_mb": round(memory, 1)}
    found = []
    for side, name in ((0, "left"), (1, "right")):
        times = np.array([place(places, at) for at in onsets(samples[:, side])]) * 1000
        if len(times) == 0:
            raise SystemExit(f"nothing was heard on the {name}")
        skews, heard = [], {}
        for n, at_ms in enumerate(due):
            nearest = float(times[np.argmin(np.abs(times - at_ms))])
            if abs(nearest - at_ms) < 200:
                skews.append(nearest - at_ms)
                heard[n] = nearest
        told = [abs(at - due[n]) for n, at in started[side].items()]
        result[name] = summary(np.array(skews)) | {
            "missed": starts - len(skews), "record_worst_ms": max(told, default=None)}
        found.append(heard)
    both = [abs(found[0][n] - found[1][n]) for n in found[0] if n in found[1]]
    result["between_speakers_worst_ms"] = round(max(both), 3)
    return result


if __name__ == "__main__":
    main()
