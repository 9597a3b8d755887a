"""Runs a function's program as Lambda would: as a process of its own behind a stand-in for Lambda's Runtime API.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Ends like Ctrl-C does: with everything that was started. (A function that is left over by a SIGKILL ends by itself,
# for want of a Runtime API.)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Quiet(BaseHTTPRequestHandler):
    """A server's side of a connection, which is kept open and logs nothing."""

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

    def length(self):
        return int(self.headers.get("Content-Length") or 0)

    def body(self):
        return self.rfile.read(self.length())

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Serves on a free port of the loopback interface, while it is entered."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server_port}"

    def __enter__(self):
        # Looks this often, in seconds, for whether it is to end.
        threading.Thread(target=self.serve_forever, args=[0.1], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Says nothing: a function that is stopped leaves its connections broken."""


class Function:
    """One process of a function, which runs while this is entered."""

    def __init__(self, name, command, environment, log):
        self.name, self.command, self.environment, self.log = name, command, environment, log
        self.event = self.result = self.first_poll = self.handed_out = None
        self.polled, self.answered, self.ready = threading.Event(), threading.Event(), threading.Semaphore(0)
        outer = self

        class RuntimeApi(Quiet):
            """Hands out events one by one and times the answers."""

            def do_GET(self):
                if outer.first_poll is None:
                    outer.first_poll = time.perf_counter()
                    outer.polled.set()
                outer.ready.acquire()
                outer.handed_out = time.perf_counter()
                headers = [
                    ("Content-Type", "application/json"),
                    ("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4())),
                    ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 900_000)),
                    ("Lambda-Runtime-Invoked-Function-Arn", f"arn:aws:lambda:us-east-1:123456789012:function:{name}"),
                    ("Lambda-Runtime-Trace-Id", "Root=1-5e1b4151-5ac6c58f3375aa3c7c6b73c9"),
                ]
                self.answer(200, outer.event, headers)

            def do_POST(self):
                body = self.body()
                seconds = time.perf_counter() - outer.handed_out
                outer.result = (seconds, self.path.rsplit("/", 1)[1], body)
                self.answer(202, b"{}")
                outer.answered.set()

        self.api = Server(RuntimeApi)

    def __enter__(self):
        self.api.__enter__()
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "STACK_NAME": "bench",
        }
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, env=environment | self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        if not self.polled.wait(30):
            self.__exit__()
            sys.exit(f"{self.command} did not poll the Runtime API within 30 s")
        self.start_seconds = self.first_poll - begin
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.api.__exit__()

    def invoke(self, event):
        """Seconds from handing out the event to receiving the answer, and the answer."""
        self.event = event
        self.answered.clear()
        self.ready.release()
        if not self.answered.wait(300):
            sys.exit(f"{self.name} did not answer within 300 s")
        seconds, kind, body = self.result
        if kind != "response":
            sys.exit(f"{self.name} answered {kind}: {body[:500].decode(errors='replace')}")
        return seconds, body

    def peak_memory(self):
        """Bytes of memory that the process held at most so far."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
