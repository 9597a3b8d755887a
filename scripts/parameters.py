#!/usr/bin/env python3
"""The parameters for `sam deploy`, one NAME=VALUE a line.

They come from samconfig.toml. A variable of .env, or of the environment, takes precedence: InputS3Bucket is INPUT_S3_BUCKET,
as docs/configuring.md lists. Only the names in .env.example are taken from the environment, so that no variable of the shell
changes a deployment by chance.
"""

import os
import re
import sys

import tomlkit

# What belongs into a secret, by its name, and where docs/deploying.md says how it gets there.
SECRETS = ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY")


def fail(message):
    sys.exit(f"error: {message}")


def variable(parameter):
    """INPUT_S3_BUCKET for InputS3Bucket."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", parameter).upper()


def parameters():
    """The names of the template's parameters, by variable."""
    with open("template.yaml", encoding="utf-8") as template:
        block = template.read().split("\nParameters:\n")[1].split("\nRules:\n")[0]
    return {variable(name): name for name in re.findall(r"^  (\w+):$", block, re.MULTILINE)}


def assignments(path):
    """The variables that a file assigns, in the form NAME=VALUE."""
    if not os.path.exists(path):
        return {}
    values = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            match = re.fullmatch(r"(?:export\s+)?(\w+)=(?:\"(.*)\"|'(.*)'|(.*?))", line)
            if not match:
                fail(f"{path}, line {number}: expected NAME=VALUE")
            values[match[1]] = next(value for value in match.groups()[1:] if value is not None)
    return values


def main():
    if len(sys.argv) != 2:
        fail("usage: scripts/parameters.py ENVIRONMENT")
    with open("samconfig.toml", encoding="utf-8") as file:
        config = tomlkit.load(file).unwrap()
    if sys.argv[1] not in config:
        fail(f"samconfig.toml has no environment {sys.argv[1]}")
    overrides = config[sys.argv[1]]["deploy"]["parameters"].get("parameter_overrides", [])
    values = dict(override.split("=", 1) for override in overrides)
    names = parameters()
    given = assignments(".env")
    given |= {name: os.environ[name] for name in assignments(".env.example") if os.environ.get(name)}
    for name, value in given.items():
        if name in SECRETS:
            fail(f"{name} belongs into a secret, not into a parameter; see docs/deploying.md")
        if name not in names:
            fail(f"there is no parameter for {name}; docs/configuring.md lists them all")
        if value:
            print(f"{name} replaces {names[name]} of samconfig.toml", file=sys.stderr)
            values[names[name]] = value
    unset = sorted(name for name, value in values.items() if value.startswith("<"))
    if unset:
        fail(f"set {', '.join(unset)} in samconfig.toml, or {', '.join(map(variable, unset))} in .env")
    print("\n".join(f"{name}={value}" for name, value in values.items()))


if __name__ == "__main__":
    main()
