#!/usr/bin/env python3
"""Measures the fetch function on large archives: megabytes per second of the whole step, and its peak memory.

It runs as Lambda would run it, between stand-ins for everything it talks to. The step is timed from handing out the event to
receiving the answer: token, metadata, download, verification, upload and the repository. What S3's stand-in received is
compared with what the Submission API's gave out. All of it is on one machine, without a network's limits, and the stand-ins
take their share of the processors.

Needs a release build of the function and 1.5 GB of disk for a while:

    cargo lambda build --release -p fetch --bin fetch
    python3 bench/fetch/bench.py
"""

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True
from figures import figure, show  # noqa: E402
from lambdas import Function, Quiet, Server  # noqa: E402

SUBMISSION = "d01c8c8b-0a0e-4a9f-9a3f-6f5ff0d2c3a1"
PEAK_GOAL = 128  # MB: the least memory that Lambda offers
BLOCK = 10_000_000


def incompressible(path):
    """500 MB of random bytes, stored as zip programs store what does not shrink."""
    return pack(path, zipfile.ZIP_STORED, os.urandom(BLOCK), 500_000_000)


def compressible(path):
    """250 MB that unpack to about twice as much: decimal digits, as in tables of numbers."""
    digits = f"{random.Random(1).getrandbits(8 * BLOCK // 2):x}".encode().translate(bytes.maketrans(b"abcdef", b"012345"))
    return pack(path, zipfile.ZIP_DEFLATED, digits, 250_000_000)


def pack(path, method, block, size):
    """A submission of about this size, made of equal files, and the bytes that it unpacks to."""
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        archive.writestr("code/Dockerfile", "FROM scratch\n")
        number = 0
        while archive.fp.tell() < size:
            archive.writestr(f"code/data/{number}.bin", block)
            number += 1
    return number * len(block)


class World(Quiet):
    """Secrets Manager, ECR, S3, Auth0 and the Submission API on one address."""

    archive = None  # what the Submission API gives out
    received = None  # SHA-256 of what S3 took for it

    def do_GET(self):
        if not self.path.endswith("/download"):
            self.answer_json({"id": SUBMISSION, "challengeId": 30049360, "memberId": 8547899})
            return
        with open(World.archive, "rb") as archive:
            self.send_response(200)
            self.send_header("Content-Length", str(os.path.getsize(World.archive)))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(archive)

    def do_POST(self):
        self.body()
        target = self.headers.get("X-Amz-Target", "")
        if self.path == "/token":
            self.answer_json({"access_token": "token", "expires_in": 3600})
        elif target.endswith(".GetSecretValue"):
            secret = {"AUTH0_CLIENT_ID": "bench", "AUTH0_CLIENT_SECRET": "bench"}
            self.answer_json({"SecretString": json.dumps(secret)})
        elif target.endswith((".CreateRepository", ".PutLifecyclePolicy")):
            uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{SUBMISSION}"
            self.answer_json({"repository": {"repositoryName": SUBMISSION, "repositoryUri": uri}})
        else:
            self.answer(404, b"{}")

    def do_PUT(self):
        digest, buffer, left = hashlib.sha256(), memoryview(bytearray(1 << 20)), self.length()
        while left and (count := self.rfile.readinto(buffer[:left])):
            digest.update(buffer[:count])
            left -= count
        if "/submission.zip" in self.path:
            World.received = digest.hexdigest()
        self.answer(200, b"", [("x-amz-version-id", "1")])

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode(), [("Content-Type", "application/json")])


def measure(command, archive, rounds, world, folder, log):
    """Megabytes per second and peak megabytes of memory; each round is a process of its own."""
    size = archive.stat().st_size
    with open(archive, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    url = f"http://{world.address}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "SUBMISSION_API_URL": url,
        "AUTH0_URL": f"{url}/token",
        "AUTH0_AUDIENCE": "bench",
        "AUTH0_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0",
        "STAGING_BUCKET": "staging",
        "TMPDIR": folder,
    }
    event = json.dumps({"submissionId": SUBMISSION}).encode()
    World.archive = archive
    rates, peaks = [], []
    for _ in range(rounds):
        World.received = None
        with Function("fetch", command, environment, log) as function:
            seconds, answer = function.invoke(event)
            peaks.append(function.peak_memory() / 1e6)
        rates.append(size / 1e6 / seconds)
        staged = json.loads(answer)["archive"]
        if (staged["bytes"], staged["sha256"], World.received) != (size, sha256, sha256):
            sys.exit(f"what was staged is not the archive of {size} bytes with SHA-256 {sha256}: {staged}")
    return rates, peaks


def main():
    target = Path("target/lambda/fetch/bootstrap")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", type=Path, default=target, help=f"the release build [{target}]")
    parser.add_argument("--rounds", type=int, default=3, help="timed runs an archive [3]")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if not options.fetch.is_file():
        parser.error(f"there is no {options.fetch}: cargo lambda build --release -p fetch --bin fetch")

    figures = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-fetch-") as folder,
        tempfile.TemporaryFile() as log,
        Server(World) as world,
    ):
        for make in [incompressible, compressible]:
            archive = Path(folder, "submission.zip")
            unpacked = make(archive)
            rates, peaks = measure([str(options.fetch.resolve())], archive, options.rounds, world, folder, log)
            what = f"fetch: zip of {archive.stat().st_size / 1e6:.0f} MB that unpacks to {unpacked / 1e6:.0f} MB"
            figures.append(figure(f"{what}, whole step", rates, "MB/s"))
            figures.append(figure(f"{what}, peak memory", peaks, "MB", below=PEAK_GOAL))
    show(figures, options.json)


if __name__ == "__main__":
    main()
