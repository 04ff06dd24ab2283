#!/usr/bin/env python3
"""Simulates a spike of requests against AWS's documented limits, second by second, to see how many each limit refuses.

Usage: benches/scale.py [--update | --check]. Prints a table. With --update, writes it into benches/results/load.md
instead. With --check, fails if the table there differs.

This is a model, not a measurement: the limits are the documented ones, nothing queues, and no caller retries.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent / "results/load.md"
START, END = "<!-- made by benches/scale.py --update -->", "<!-- end -->"

# Each function's share of the requests, and the units that one request to it consumes, for sessions of 2 KB.
SHARES = {"read": 0.8, "write": 0.2}
UNITS = {"read": 1, "write": 2}
# https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html: what each function gains every 10 seconds, in
# requests a second. The page's other limit, 1,000 executions, is never reached by requests that take 10 ms.
LAMBDA_STEP, LAMBDA_PERIOD = 10_000, 10
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: requests a second that Lambda
# allows for each execution in the quota.
REQUESTS_OF_AN_EXECUTION = 10
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html: units a second that a
# new table serves. It can double its highest traffic every 30 minutes.
NEW_TABLE = {"read": 12_000, "write": 4_000}
DOUBLING = 1_800


@dataclass
class Limits:
    """What an account and a stack allow."""

    title: str
    # Requests a second and burst: the account's limit at API Gateway, and the limit of each of the stack's routes.
    gateway: tuple = (10_000, 5_000)
    route: tuple = (1_000, 2_000)
    # Lambda executions, for all functions together.
    concurrency: int = 1_000
    # Units a second that the table serves when the spike begins.
    warm: dict = None


class Bucket:
    """Tokens for a rate and a burst."""

    def __init__(self, rate, burst):
        self._rate, self._burst, self._tokens = rate, burst, burst

    def admit(self, wanted):
        self._tokens = min(self._tokens + self._rate, self._burst + self._rate)
        admitted = min(wanted, self._tokens)
        self._tokens -= admitted
        return admitted


def simulate(limits, requests, seconds):
    """Returns the share of requests served in each second, and how many requests each limit refuses."""
    refused = dict.fromkeys(("stack", "API Gateway", "Lambda", "DynamoDB"), 0.0)
    routes = {name: Bucket(*limits.route) for name in SHARES}
    account = Bucket(*limits.gateway)
    table = dict(limits.warm or NEW_TABLE)
    served = []
    for second in range(seconds):
        if second and second % DOUBLING == 0:
            table = {name: units * 2 for name, units in table.items()}
        wanted = {name: requests * share for name, share in SHARES.items()}
        admitted = {name: routes[name].admit(count) for name, count in wanted.items()}
        refused["stack"] += sum(wanted.values()) - sum(admitted.values())
        total = sum(admitted.values())
        through = account.admit(total)
        refused["API Gateway"] += total - through
        growth = LAMBDA_STEP * (1 + second // LAMBDA_PERIOD)
        by_function = {name: min(count * through / total, growth) for name, count in admitted.items()}
        running = min(sum(by_function.values()), limits.concurrency * REQUESTS_OF_AN_EXECUTION)
        refused["Lambda"] += through - running
        factor = running / sum(by_function.values())
        stored = {name: min(count * factor, table[name] / UNITS[name]) for name, count in by_function.items()}
        refused["DynamoDB"] += running - sum(stored.values())
        served.append(sum(stored.values()) / requests)
    return served, refused


RAISED = {"gateway": (100_000, 50_000), "route": (100_000, 50_000), "concurrency": 10_000}
SCENARIOS = [
    Limits("as deployed"),
    Limits("`ThrottlingRate` 10,000", route=(10_000, 5_000)),
    Limits("all quotas raised", **RAISED),
    Limits("and the table warm", **RAISED, warm={"read": 80_000, "write": 40_000}),
]
SPIKES = [1_000, 10_000, 100_000]
# How many seconds a spike lasts, and the moments that the table shows.
SECONDS = 300
MOMENTS = {"after 1 s": 1, "after 30 s": 30, "after 2 min": 120, "after 5 min": 299}


def table():
    lines = ["| requests a second, from nothing | limits | " + " | ".join(MOMENTS) + " | most are refused by |"]
    lines.append("|---" * (len(MOMENTS) + 3) + "|")
    for requests in SPIKES:
        for limits in SCENARIOS:
            served, refused = simulate(limits, requests, SECONDS)
            shares = [f"{100 * served[second]:.0f} %" for second in MOMENTS.values()]
            worst = max(refused, key=refused.get)
            reason = worst if refused[worst] >= 0.001 * requests * SECONDS else "–"
            lines.append(f"| {requests:,} | {limits.title} | {' | '.join(shares)} | {reason} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--update", action="store_true", help="write the table into benches/results/load.md")
    group.add_argument("--check", action="store_true", help="fail if the table in benches/results/load.md differs")
    arguments = parser.parse_args()
    made = table()
    before, start, rest = DOCUMENT.read_text().partition(START)
    current, end, after = rest.partition(END)
    if arguments.update:
        DOCUMENT.write_text(f"{before}{start}\n{made}{end}{after}")
    elif not arguments.check:
        print(made, end="")
    elif current.strip() != made.strip():
        sys.exit("error: the table in benches/results/load.md is out of date: run benches/scale.py --update")


if __name__ == "__main__":
    main()
