"""The AWS command line of builds. A call is a fork of one process that has read everything, and starts half a second sooner.

    aws.py serve SOCKET       answers calls
    aws.py call SOCKET …      does what `aws …` does
"""

import json
import os
import signal
import socket
import sys
import time

# What builds call.
SERVICES = ("ecr", "lambda", "s3")


def call(path, arguments):
    request = json.dumps([os.getcwd(), dict(os.environ), arguments]).encode()
    folder, name = os.path.split(path)
    # Paths of sockets may only have 108 characters.
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        for _ in range(600):
            try:
                server.connect(name)
                break
            except FileNotFoundError:
                time.sleep(0.05)
        socket.send_fds(server, [request], [0, 1, 2])
        status = server.recv(1)
    return status[0] if status else 255


def serve(path):
    import awscli.handlers  # noqa: F401  # Every call imports it.
    from awscli.clidriver import create_clidriver

    driver = create_clidriver()
    loader = driver.session.get_component("data_loader")
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    for data in ("endpoints", "partitions"):
        loader.load_data(data)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    folder, name = os.path.split(path)
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(name + ".new")
        listener.listen(64)
        os.rename(name + ".new", name)
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(client, driver)
            client.close()


def answer(client, driver):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 255
    try:
        request, descriptors, _, _ = socket.recv_fds(client, 1 << 20, 3)
        for own, descriptor in enumerate(descriptors):
            os.dup2(descriptor, own)
        folder, environment, arguments = json.loads(request)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        status = driver.main(arguments)
        sys.stdout.flush()
    except SystemExit as end:
        status = end.code or 0
    finally:
        client.send(bytes([status & 255]))
        os._exit(0)


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    sys.exit(call(sys.argv[2], sys.argv[3:]))
