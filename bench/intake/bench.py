#!/usr/bin/env python3
"""Measures the intake function against the same function in Node.js.

Both run as Lambda would run them, taking turns, behind the same stand-ins for Lambda's Runtime API and for Step Functions,
with their logs going to a file:

* records per second of a 6 MB batch, timed from handing out the event to receiving the answer, after a warm-up;
  once with 1 % of the records starting an execution, once with none, where only the filter is at work;
* milliseconds from the start of the process to its first poll of the Runtime API.

Needs Node.js 20 with npm, and a release build of the function:

    cargo lambda build --release -p intake --bin intake
    python3 bench/intake/bench.py
"""

import argparse
import base64
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True
from figures import figure, show  # noqa: E402
from lambdas import Function, Quiet, Server  # noqa: E402

PEER = HERE / "peer"
BATCH_BYTES = 6_000_000
WARM_UP = 5  # invocations, of which Node.js needs some to compile what is hot
THROUGHPUT_GOAL = 3
START_GOAL = 10


def message(rng, matches):
    """One message as the bus writes it, of about 700 bytes; five kinds that do not match, as often as each other."""
    payload = {
        "resource": "review",
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "created": "2020-01-21T00:01:00.000Z",
        "updated": "2020-01-21T00:01:00.000Z",
        "createdBy": "maE2maBSv9fRVHjSlC31LFZSq6VhhZqC@clients",
        "updatedBy": "maE2maBSv9fRVHjSlC31LFZSq6VhhZqC@clients",
        "status": "completed",
        "score": 100,
        "reviewerId": "b8ff717c-6281-40cd-b5f1-5f6af22b2a05",
        "submissionId": str(uuid.UUID(int=rng.getrandbits(128))),
        "scoreCardId": 30001850,
        "typeId": "55bbb17d-aac2-45a6-89c3-a8d102863d05",
        "metadata": {"testType": "provisional", "public": "0 passed", "private": "0 of 100 tests"},
        "originalTopic": "submission.notification.create",
    }
    if not matches:
        other = rng.choice(
            [
                {"score": 0},
                {"score": "87.5"},
                {"typeId": "68c5a381-c8ab-48af-92a7-7a869a4ee6c3"},
                {"originalTopic": "submission.notification.update"},
                {"resource": "submission", "url": "https://s3.amazonaws.com/submissions/a.zip", "fileType": "zip"},
            ]
        )
        payload.update(other)
    envelope = {
        "topic": "submission.notification.aggregate",
        "originator": "submission-api",
        "timestamp": "2020-01-21T00:01:00.000Z",
        "mime-type": "application/json",
        "payload": payload,
    }
    return json.dumps(envelope).encode()


def batch(share):
    """An MSK event of about 6 MB over three partitions, and how many records and matches are in it."""
    rng = random.Random(1)
    partitions = {f"submission.notification.aggregate-{number}": [] for number in range(3)}
    size = records = matches = 0
    while size < BATCH_BYTES:
        number = rng.randrange(3)
        is_match = rng.random() < share
        record = {
            "topic": "submission.notification.aggregate",
            "partition": number,
            "offset": 1000 + records,
            "timestamp": 1579564860000 + records,
            "timestampType": "CREATE_TIME",
            "key": base64.b64encode(rng.randbytes(16)).decode(),
            "value": base64.b64encode(message(rng, is_match)).decode(),
            "headers": [{"source": [115, 117, 98, -1]}],
        }
        partitions[f"submission.notification.aggregate-{number}"].append(record)
        size += len(json.dumps(record, separators=(",", ":"))) + 1
        records += 1
        matches += is_match
    event = {
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/bus/1",
        "bootstrapServers": "b-1.bus:9098",
        "records": partitions,
    }
    return json.dumps(event, separators=(",", ":")).encode(), records, matches


class StepFunctions(Quiet):
    """Starts every execution at once."""

    started = set()

    def do_POST(self):
        request = json.loads(self.body())
        StepFunctions.started.add(request["name"])
        arn = request["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":" + request["name"]
        body = json.dumps({"executionArn": arn, "startDate": time.time()}).encode()
        self.answer(200, body, [("Content-Type", "application/x-amz-json-1.0")])


def environment(step_functions):
    return {
        "AWS_ENDPOINT_URL": f"http://{step_functions.address}",
        "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:processing",
        "QUARANTINE_BUCKET": "quarantine",
    }


def measure_starts(commands, runs, variables, log):
    """Milliseconds from the start of each function to its first poll, run by run in turn."""
    milliseconds = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            with Function("intake", command, variables, log) as function:
                if run > 0:  # the first one reads the files from disk
                    milliseconds[name].append(function.start_seconds * 1000)
    return milliseconds


def measure_rates(commands, event, records, matches, rounds, variables, log):
    """Records per second of each function, round by round in turn: what else the machine does meets both."""
    rates = {name: [] for name in commands}
    with contextlib.ExitStack() as stack:
        functions = {
            name: stack.enter_context(Function("intake", command, variables, log)) for name, command in commands.items()
        }
        for round_ in range(WARM_UP + rounds):
            for name, function in functions.items():
                StepFunctions.started.clear()
                seconds, answer = function.invoke(event)
                if json.loads(answer) != {"batchItemFailures": []}:
                    sys.exit(f"{name} answered {answer[:500].decode(errors='replace')}")
                if len(StepFunctions.started) != matches:
                    sys.exit(f"{name} started {len(StepFunctions.started)} executions instead of {matches}")
                if round_ >= WARM_UP:
                    rates[name].append(records / seconds)
    return rates


def main():
    target = Path("target/lambda/intake/bootstrap")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intake", type=Path, default=target, help=f"the release build [{target}]")
    parser.add_argument("--node", default="node", help="Node.js 20 [node]")
    parser.add_argument("--rounds", type=int, default=15, help="timed invocations a batch [15]")
    parser.add_argument("--starts", type=int, default=15, help="timed starts [15]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not options.intake.is_file():
        parser.error(f"there is no {options.intake}: cargo lambda build --release -p intake --bin intake")
    if not (PEER / "node_modules" / "@aws-sdk").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=PEER, check=True, stdout=sys.stderr)

    commands = {
        "rust": [str(options.intake.resolve())],
        "node": [options.node, str(PEER / "runtime.mjs")],
    }
    figures = []
    with Server(StepFunctions) as step_functions, tempfile.TemporaryFile() as log:
        variables = environment(step_functions)
        starts = measure_starts(commands, options.starts, variables, log)
        figures.append(
            figure(
                "intake: start to first poll; peer Node.js",
                starts["rust"], "ms", starts["node"], at_least=START_GOAL, higher_is_better=False,
            )
        )
        for share, described in [(0.01, "1 % match"), (0, "none match")]:
            event, records, matches = batch(share)
            rates = measure_rates(commands, event, records, matches, options.rounds, variables, log)
            what = f"intake: {len(event) / 1e6:.1f} MB batch, {described}; peer Node.js"
            figures.append(figure(what, rates["rust"], "records/s", rates["node"], at_least=THROUGHPUT_GOAL))
    show(figures, options.json)


if __name__ == "__main__":
    main()
