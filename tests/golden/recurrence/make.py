"""Records what two independent cron libraries agree on, for `recurrence_golden.rs`.

    python3 -m venv .venv && .venv/bin/pip install croniter==7.0.0 cronsim==2.8
    .venv/bin/python tests/golden/recurrence/make.py

Both are asked in UTC for the next occurrences after an instant, croniter with
`day_or=True` (either day field, as Debian), `second_at_beginning=True` for six fields and no
other option. Where both give the same answer it is recorded in `agreed.txt`; where they differ, or
one refuses, the expression goes to `differing.txt` with both answers. The seed is fixed: a second
run gives the same files.

Format of `agreed.txt`, one expression a line: expression, tab, then for each asked instant
`after>first,second,…` in seconds since 1970, occurrences as differences to the one before.
"""

import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from croniter import croniter
from cronsim import CronSim, CronSimError

HERE = Path(__file__).parent
RANDOM = random.Random(20261121)
COUNT = 3000
EACH = 3  # occurrences recorded after each instant
UTC = timezone.utc
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()


def part(low, high, names=None, first=0):
    """One list element: a number, a name, a range, a step."""
    kind = RANDOM.random()
    def value(number):
        if names and RANDOM.random() < 0.4 and number - first < len(names):
            name = names[number - first]
            return RANDOM.choice([name, name.upper(), name.capitalize()])
        return f"{number:02d}" if RANDOM.random() < 0.05 else str(number)
    if kind < 0.5:
        return value(RANDOM.randint(low, high))
    a, b = sorted(RANDOM.sample(range(low, high + 1), 2))
    if kind < 0.7:
        return f"{value(a)}-{value(b)}"
    if kind < 0.85:
        return f"{value(a)}-{value(b)}/{RANDOM.randint(1, max(1, (b - a)))}"
    return f"*/{RANDOM.randint(1, high)}"


def field(low, high, star, names=None, first=0):
    if RANDOM.random() < star:
        return "*"
    return ",".join(part(low, high, names, first) for _ in range(RANDOM.choice([1, 1, 1, 2, 3])))


def expression():
    minute = field(0, 59, 0.1)
    hour = field(0, 23, 0.2)
    which = RANDOM.random()
    day, weekday = "*", "*"
    if which < 0.35:
        day = field(1, 31, 0.0)
    elif which < 0.75:
        weekday = field(0, 7, 0.0, DAYS)
    month = field(1, 12, 0.6, MONTHS, 1)
    text = f"{minute} {hour} {day} {month} {weekday}"
    if RANDOM.random() < 0.25:
        text = f"{field(0, 59, 0.1)} {text}"
    return text


SPECIAL = """
@hourly
@daily
@midnight
@weekly
@monthly
@yearly
@annually
0 0 29 2 *
30 4 29 2 *
0 0 31 * *
0 0 30 2 *
0 0 31 4,6,9,11 *
59 23 31 12 *
0 0 1 1 *
0 0 * * 0
0 0 * * 7
0 0 * * sun
0 0 * * 5-7
0 0 * * fri-sun
0 0 * * 0-7
0 0 * * 1-7/2
0 0 * * */2
0 0 * * */7
*/7 * * * *
*/59 */23 * * *
0 5 * * 1-6
0 17 * * mon-sat
15 6 1,15 */3 *
0 0 1-7 * *
0 0 28-31 * *
0 12 */2 * *
0 0 13 * 5
0 5 */2 * mon
5/10 * * * *
0 5 * * sat-mon
0 22-2 * * *
*/0 * * * *
*/70 * * * *
60 * * * *
0 0 L * *
0 0 * * 5#2
""".strip().splitlines()

INSTANTS = [
    datetime(2026, 11, 21, 14, 15, 0, tzinfo=UTC),
    datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2024, 2, 28, 23, 0, 0, tzinfo=UTC),
    datetime(2027, 2, 28, 12, 34, 56, tzinfo=UTC),
]


def croniter_after(text, after):
    seconds = len(text.split()) == 6
    walk = croniter(text, after, day_or=True, second_at_beginning=seconds)
    return [int(walk.get_next(datetime).timestamp()) for _ in range(EACH)]


def cronsim_after(text, after):
    walk = CronSim(text, after)
    return [int(next(walk).timestamp()) for _ in range(EACH)]


def ask(answer, text, after):
    try:
        return answer(text, after)
    except (CronSimError, ValueError, KeyError, StopIteration, AttributeError) as fault:
        return f"{type(fault).__name__}: {fault}".replace("\n", " ")


def main():
    texts = list(SPECIAL)
    while len(texts) < COUNT:
        text = expression()
        if text not in texts:
            texts.append(text)
    agreed, differing = [], []
    for text in texts:
        instants = INSTANTS + [
            datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=RANDOM.randrange(20 * 365 * 86400))
            for _ in range(1)
        ]
        answers = []
        for after in instants:
            one, other = ask(croniter_after, text, after), ask(cronsim_after, text, after)
            if one != other:
                differing.append(f"{text}\t{int(after.timestamp())}\tcroniter: {one}\tcronsim: {other}")
                answers = None
                break
            if isinstance(one, str):
                raise SystemExit(f"both refuse `{text}` alike; not expected: {one}")
            start = last = int(after.timestamp())
            steps = []
            for at in one:
                steps.append(str(at - last))
                last = at
            answers.append(f"{start}>{','.join(steps)}")
        if answers:
            agreed.append(f"{text}\t{' '.join(answers)}")
    (HERE / "agreed.txt").write_text("\n".join(agreed) + "\n")
    (HERE / "differing.txt").write_text("\n".join(differing) + "\n")
    print(f"{len(agreed)} expressions agreed, {len(differing)} differing", file=sys.stderr)


main()
