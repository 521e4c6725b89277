"""Measures when sound really leaves: starts of `loa play` in a recording of PulseAudio's monitor.

    python skew.py LOA [STARTS]      prints one JSON object

A private PulseAudio with a null sink plays what two players are ordered (one the left channel,
one the right), and its monitor is recorded in one stream. Each recorded sample is placed in time
by the stream's own latency reading, so the figure does not rest on when a process was woken.

A third channel carries a click each second, written by another client with a known place in its
own stream, all through the measurement. It judges the method, never the player:
* clicks that lie a second of samples apart show that the recording has no hole there;
* clicks whose placed instants lie on one line show that the readings hold there.
The latency is interpolated between the server's updates and runs away from the truth while the
server settles on another buffer. Starts beside a click that is off are not judged and counted as
such, and when they are many or the rest of the clicks do not repeat, no figure is printed.
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
LEFT, RIGHT, REFERENCE = range(3)
CHANNELS = 3
FRAME = 2 * CHANNELS

# Readings so many seconds around a frame place it.
AROUND_S = 4
# A click this far off its line tells of readings that do not hold: a fortieth of the limit on
# starts. On a machine at rest they repeat within 0.1 ms.
HOLDS_MS = 0.5
# Below this share of clicks that hold and of starts that are judged there is no figure.
JUDGED = 0.8


class DoesNotHold(Exception):
    """The method is not good enough here and now to judge a player."""


def start_pulse(folder):
    # Without remixing a stereo player leaves the channel of the reference alone.
    os.makedirs(folder + "/.config/pulse")
    with open(folder + "/.config/pulse/daemon.conf", "w") as conf:
        conf.write("enable-remixing = no\n")
    os.environ.update(
        HOME=folder, XDG_CONFIG_HOME=folder + "/.config", XDG_RUNTIME_DIR=folder,
        PULSE_RUNTIME_PATH=folder + "/pulse", PULSE_SERVER="unix:" + folder + "/native",
    )
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--system=false", "--exit-idle-time=-1",
         "--use-pid-file=no", "--disable-shm=yes", "--log-target=stderr", "--log-level=error",
         f"--load=module-null-sink sink_name={SINK} rate={RATE} channels={CHANNELS} "
         "channel_map=front-left,front-right,front-center",
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
            pasimple.PA_STREAM_RECORD, pasimple.PA_SAMPLE_S16LE, CHANNELS, RATE,
            app_name="skew", device_name=SINK + ".monitor",
            maxlength=4 * RATE * FRAME, fragsize=RATE // 100 * FRAME)
        self.pieces, self.places, self.done = [], [], False

    def run(self):
        frames = 0
        while not self.done:
            piece = self.stream.read(RATE // 50 * FRAME)
            latency_us = self.stream.get_latency()
            now = time.time()
            frames += len(piece) // FRAME
            self.pieces.append(piece)
            # The sample after the last one read was captured `latency` ago.
            self.places.append((frames, now - latency_us / 1e6 - frames / RATE))

    def finish(self):
        self.done = True
        self.join()
        samples = np.frombuffer(b"".join(self.pieces), dtype="<i2").reshape(-1, CHANNELS)
        return samples, np.array(self.places)


def onsets(channel, threshold=3000, apart=RATE // 5):
    loud = np.flatnonzero(np.abs(channel.astype(np.int32)) > threshold)
    found = []
    for at in loud:
        # Counted from the onset before: a click is much shorter than that.
        if not found or at - found[-1] > apart:
            found.append(int(at))
    return found


class Places:
    """When each frame of a recording left, and where that is not known."""

    def __init__(self, readings, samples):
        self.readings = readings
        clicks = np.array(onsets(samples[:, REFERENCE]))
        if len(clicks) < 10:
            raise DoesNotHold(f"only {len(clicks)} reference clicks were heard")
        placed = np.array([self.at(frame) for frame in clicks])
        off = (placed - np.round((clicks - clicks[0]) / RATE)) * 1000
        off -= np.median(off)
        # A hole on either side of a click makes its neighbourhood doubtful.
        holes = np.diff(clicks) % RATE != 0
        torn = np.append(holes, False) | np.insert(holes, 0, False)
        self.clicks, self.held = clicks, ~torn & (np.abs(off) <= HOLDS_MS)
        self.off_ms = np.abs(off)
        share = float(np.mean(self.held))
        if share < JUDGED:
            raise DoesNotHold(f"{1 - share:.0%} of {len(clicks)} reference clicks are more than "
                              f"{HOLDS_MS} ms off, the worst {self.off_ms.max():.2f} ms")

    def summary(self):
        held = self.off_ms[self.held]
        return {"clicks": len(self.clicks), "doubtful": int(np.sum(~self.held)),
                "median_ms": round(float(np.median(held)), 3),
                "worst_ms": round(float(np.max(held)), 3),
                "worst_with_doubtful_ms": round(float(np.max(self.off_ms)), 3)}

    def at(self, frame):
        """Time of a frame: median of the readings around it."""
        near = np.abs(self.readings[:, 0] - frame) < AROUND_S * RATE
        return float(np.median(self.readings[near, 1]) + frame / RATE)

    def holds(self, frame):
        """Says whether the clicks before and after a frame are where they should be."""
        after = int(np.searchsorted(self.clicks, frame))
        return 0 < after < len(self.clicks) and bool(self.held[after - 1] and self.held[after])


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


class Reference(threading.Thread):
    """Clicks one second of samples apart in one stream of another client, until told to stop.

    What the client's own latency reading says of their instants is noted too: how far a client
    that is not ours is from the recording.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.readings = False, []

    def run(self):
        import pasimple
        second = np.zeros((RATE, CHANNELS), dtype="<i2")
        second[RATE // 2:RATE // 2 + RATE // 20, REFERENCE] = 20000
        with pasimple.PaSimple(pasimple.PA_STREAM_PLAYBACK, pasimple.PA_SAMPLE_S16LE, CHANNELS,
                               RATE, app_name="reference", device_name=SINK,
                               tlength=2 * RATE * FRAME) as out:
            frames, steps = 0, np.split(second, 20)
            while not self.done:
                for step in steps:
                    out.write(step.tobytes())
                    frames += len(step)
                    latency_us = out.get_latency()
                    self.readings.append(time.time() + latency_us / 1e6 - frames / RATE)

    def own_off_ms(self, places):
        """How far the recording puts the clicks from where this client's readings put them."""
        told = float(np.median(self.readings)) + 0.5
        held = places.clicks[places.held]
        off = (np.array([places.at(frame) for frame in held]) - told) * 1000
        return round(float(np.median(off - np.round(off, -3))), 3)


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
        except DoesNotHold as why:
            raise SystemExit(f"the method does not hold now: {why}")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=10)


def measure(loa, starts, folder):
    clips = [folder + "/left.wav", folder + "/right.wav"]
    write_click(clips[LEFT], LEFT, RATE)
    write_click(clips[RIGHT], RIGHT, 44100)  # this one goes through the resampler
    players = [Player(loa, clip) for clip in clips]
    recorder, clicking = Recorder(), Reference()
    recorder.start()
    clicking.start()
    # The server settles on a latency and the readings on the truth.
    time.sleep(2 + AROUND_S)
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
    time.sleep(2.5 + AROUND_S)
    memory = max(player.rss_mb() for player in players)
    started = [player.started() for player in players]
    for player in players:
        player.close()
    clicking.done = True
    clicking.join()
    samples, readings = recorder.finish()
    places = Places(readings, samples)
    result = judge(samples, places, due, started)
    result["reference"]["own_reading_off_ms"] = clicking.own_off_ms(places)
    return result | {"player_peak_mb": round(memory, 1)}


def judge(samples, places, due, started):
    result, found = {"reference": places.summary()}, []
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        frames = onsets(samples[:, side])
        if not frames:
            raise SystemExit(f"nothing was heard on the {name}")
        times = np.array([places.at(frame) for frame in frames]) * 1000
        skews, heard, unjudged = [], {}, 0
        for n, at_ms in enumerate(due):
            nearest = int(np.argmin(np.abs(times - at_ms)))
            if abs(times[nearest] - at_ms) >= 200:
                continue
            if places.holds(frames[nearest]):
                skews.append(float(times[nearest]) - at_ms)
                heard[n] = float(times[nearest])
            else:
                unjudged += 1
        if len(skews) < JUDGED * (len(skews) + unjudged):
            raise DoesNotHold(f"{unjudged} of {len(due)} starts cannot be judged")
        told = [abs(at - due[n]) for n, at in started[side].items()]
        result[name] = summary(np.array(skews)) | {
            "missed": len(due) - len(skews) - unjudged, "unjudged": unjudged,
            "record_worst_ms": max(told, default=None)}
        found.append(heard)
    both = [abs(found[0][n] - found[1][n]) for n in found[0] if n in found[1]]
    if not both:
        raise DoesNotHold("no start of both can be judged")
    result["between_speakers_worst_ms"] = round(max(both), 3)
    return result


if __name__ == "__main__":
    main()
