#!/usr/bin/env bash
# Makes the clips of the sample: each TEXT.txt is read out by espeak-ng into TEXT.mp3; the
# signature tune is two tones, the siren of the standby templates a tone that rises and falls. Makes only what is missing or older than its text.
set -euo pipefail
cd "$(dirname "$0")"

for tool in espeak-ng ffmpeg; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing; as root: apt-get install -y espeak-ng ffmpeg" >&2
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Mono at 44.1 kHz and 64 kbit/s: speech over a horn needs no more.
encode() { # encode OUT INPUT-ARGUMENTS...
  local out=$1; shift
  ffmpeg -nostdin -v error -y "$@" -ac 1 -ar 44100 -codec:a libmp3lame -b:a 64k \
    -map_metadata -1 -metadata title="$title" -fflags +bitexact "$work/out.mp3"
  mv "$work/out.mp3" "$out"
}

for text in *.txt standby/*.txt; do
  clip=${text%.txt}.mp3
  if [ ! -s "$clip" ] || [ "$text" -nt "$clip" ]; then
    espeak-ng -v vi -s 145 -f "$text" -w "$work/voice.wav"
    title=$(basename "${text%.txt}")
    encode "$clip" -i "$work/voice.wav"
  fi
done

if [ ! -s nhac-hieu.mp3 ]; then
  title=nhac-hieu
  encode nhac-hieu.mp3 -f lavfi -i \
    "aevalsrc='0.4*sin(2*PI*t*(523+262*gte(mod(t,1),0.5)))*min(1,8*(0.5-mod(t,0.5)))':d=4"
fi

if [ ! -s standby/coi-bao-dong.mp3 ]; then
  title=coi-bao-dong
  encode standby/coi-bao-dong.mp3 -f lavfi -i \
    "aevalsrc='0.5*sin(2*PI*700*t-1200*cos(2*PI*0.25*t))':d=12"
fi
