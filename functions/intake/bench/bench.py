#!/usr/bin/env python3
"""Measures the intake function against the same function in Node.js.

Both run as Lambda would run them, taking turns, behind the same stand-ins for Lambda's Runtime API and for Step Functions,
with their logs going to a file:

* records per second of a 6 MB batch, timed from handing out the event to receiving the answer, after a warm-up;
  once with 1 % of the records starting an execution, once with none, where only the filter is at work;
* milliseconds from the start of the process to its first poll of the Runtime API.

Needs Node.js 20 with npm, and a release build of the function:

    cargo lambda build --release -p intake --bin intake
    python3 functions/intake/bench/bench.py
"""

import argparse
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
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


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Says nothing: a function that is stopped leaves its connections broken."""


def serve(handler):
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"127.0.0.1:{server.server_port}"


class Lambda:
    """The Runtime API for one process: hands out events one by one and times the answers."""

    def __init__(self):
        self.polled = threading.Event()
        self.first_poll = None
        self.answered = threading.Event()
        self.ready = threading.Semaphore(0)
        outer = self

        class Handler(Quiet):
            def do_GET(self):
                if outer.first_poll is None:
                    outer.first_poll = time.perf_counter()
                    outer.polled.set()
                outer.ready.acquire()
                outer.handed_out = time.perf_counter()
                headers = [
                    ("Content-Type", "application/json"),
                    ("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4())),
                    ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000)),
                    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:intake"),
                    ("Lambda-Runtime-Trace-Id", "Root=1-5e1b4151-5ac6c58f3375aa3c7c6b73c9"),
                ]
                try:
                    self.answer(200, outer.event, headers)
                except OSError:
                    pass

            def do_POST(self):
                body = self.body()
                outer.took = time.perf_counter() - outer.handed_out
                outer.result = (self.path.rsplit("/", 1)[1], body)
                self.answer(202, b"{}")
                outer.answered.set()

        self.server, self.address = serve(Handler)

    def invoke(self, event):
        """Seconds from handing out the event to receiving the answer."""
        self.event = event
        self.answered.clear()
        self.ready.release()
        if not self.answered.wait(120):
            sys.exit("the function did not answer within 120 s")
        kind, body = self.result
        if kind != "response" or json.loads(body) != {"batchItemFailures": []}:
            sys.exit(f"the function answered {kind}: {body[:500].decode(errors='replace')}")
        return self.took


class StepFunctions(Quiet):
    """Starts every execution at once."""

    started = set()

    def do_POST(self):
        request = json.loads(self.body())
        StepFunctions.started.add(request["name"])
        arn = request["stateMachineArn"].replace(":stateMachine:", ":execution:") + ":" + request["name"]
        body = json.dumps({"executionArn": arn, "startDate": time.time()}).encode()
        self.answer(200, body, [("Content-Type", "application/x-amz-json-1.0")])


class Function:
    """One process of a function."""

    def __init__(self, command, step_functions, log):
        self.api = Lambda()
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "intake",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL": f"http://{step_functions}",
            "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:processing",
            "QUARANTINE_BUCKET": "quarantine",
            "STACK_NAME": "bench",
        }
        begin = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not self.api.polled.wait(30):
            self.stop()
            sys.exit(f"{command} did not poll the Runtime API within 30 s")
        self.start_seconds = self.api.first_poll - begin

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.api.server.shutdown()


def measure_starts(commands, runs, step_functions, log):
    """Seconds from the start of each function to its first poll, run by run in turn."""
    seconds = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            function = Function(command, step_functions, log)
            function.stop()
            if run > 0:  # the first one reads the files from disk
                seconds[name].append(function.start_seconds)
    return seconds


def measure_rates(commands, event, records, matches, rounds, step_functions, log):
    """Records per second of each function, round by round in turn: what else the machine does meets both."""
    functions = {name: Function(command, step_functions, log) for name, command in commands.items()}
    rates = {name: [] for name in commands}
    for round_ in range(WARM_UP + rounds):
        for name, function in functions.items():
            StepFunctions.started.clear()
            seconds = function.api.invoke(event)
            if len(StepFunctions.started) != matches:
                sys.exit(f"{name} started {len(StepFunctions.started)} executions instead of {matches}")
            if round_ >= WARM_UP:
                rates[name].append(records / seconds)
    for function in functions.values():
        function.stop()
    return rates


def spread(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "runs": len(values)}


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

    batches = {"1 % match": batch(0.01), "none match": batch(0)}
    step_functions = serve(StepFunctions)[1]
    functions = {
        "rust": [str(options.intake.resolve())],
        "node": [options.node, str(PEER / "runtime.mjs")],
    }
    with tempfile.TemporaryFile() as log:
        start = {
            name: spread([second * 1000 for second in seconds])
            for name, seconds in measure_starts(functions, options.starts, step_functions, log).items()
        }
        start["ratio"] = start["node"]["median"] / start["rust"]["median"]
        report = {
            "node": subprocess.run([options.node, "--version"], capture_output=True, text=True, check=True).stdout.strip(),
            "cpus": os.cpu_count(),
            "start_milliseconds": start,
            "batches": {},
        }
        for name, (event, records, matches) in batches.items():
            measured = measure_rates(functions, event, records, matches, options.rounds, step_functions, log)
            rates = {peer: spread(values) for peer, values in measured.items()}
            report["batches"][name] = {
                "bytes": len(event),
                "records": records,
                "matches": matches,
                "records_per_second": rates,
                "ratio": rates["rust"]["median"] / rates["node"]["median"],
            }
    goals = [start["ratio"] >= START_GOAL] + [b["ratio"] >= THROUGHPUT_GOAL for b in report["batches"].values()]
    report["goals_met"] = all(goals)

    if options.json:
        print(json.dumps(report, indent=2))
        return

    def row(title, rust, node, ratio, goal):
        verdict = "met" if ratio >= goal else "MISSED"
        cell = lambda v: f"{v['median']:,.1f} ({v['lowest']:,.1f}–{v['highest']:,.1f})"  # noqa: E731
        print(f"{title:<42}{cell(rust):>34}{cell(node):>34}{ratio:>8.1f}x   at least {goal}x: {verdict}")

    print(f"intake in Rust and in Node.js {report['node']}, {report['cpus']} CPUs; median (lowest–highest)\n")
    print(f"{'':<42}{'Rust':>34}{'Node.js':>34}{'ratio':>9}   goal")
    row("start to first poll, ms", start["rust"], start["node"], start["ratio"], START_GOAL)
    for name, b in report["batches"].items():
        title = f"records/s, {b['bytes'] / 1e6:.1f} MB, {b['records']}, {name}"
        row(title, b["records_per_second"]["rust"], b["records_per_second"]["node"], b["ratio"], THROUGHPUT_GOAL)


if __name__ == "__main__":
    main()
