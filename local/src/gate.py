"""Starts the emulator so that it answers only requests with the run's secret, which AWS SDKs send as their session token.

Whoever may use a function's URL is the function's own decision, as on AWS.
"""

import hmac
import os
import re
from urllib.parse import parse_qs

from ministack import app as emulator

SECRET = os.environ["AWS_SESSION_TOKEN"].encode()
FUNCTION_URL = re.compile(r"/_aws/lambda-url/[a-z0-9-]+(/|$)")
ANSWER = b"This emulator answers only its own run: set AWS_SESSION_TOKEN as `marathon up` shows it.\n"


def is_admitted(scope):
    sent = dict(scope["headers"]).get(b"x-amz-security-token")
    if sent is None:
        sent = parse_qs(scope["query_string"]).get(b"X-Amz-Security-Token", [b""])[0]
    return hmac.compare_digest(sent, SECRET)


def gated(ungated):
    async def gate(scope, receive, send):
        if scope["type"] == "lifespan" or is_admitted(scope):
            await ungated(scope, receive, send)
        elif scope["type"] == "http" and FUNCTION_URL.match(scope["path"]):
            # The emulator chooses services by this header, too.
            host = (b"host", b"127.0.0.1:" + os.environb[b"GATEWAY_PORT"])
            headers = [header for header in scope["headers"] if header[0] != b"host"]
            await ungated({**scope, "headers": [host, *headers]}, receive, send)
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(ANSWER)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": ANSWER})
        else:
            await send({"type": "websocket.close", "code": 1008})

    return gate


emulator.app = gated(emulator.app)
emulator.main()
