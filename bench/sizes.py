#!/usr/bin/env python3
"""Measures how large the functions' release builds are, zipped as SAM packages them.

    python3 bench/sizes.py target/lambda intake fetch claim diagnose report
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
from figures import figure, show  # noqa: E402

GOAL = 5  # MB


def zipped_bytes(path):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    return len(package.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", type=Path, help="where the builds are, as FUNCTION/bootstrap")
    parser.add_argument("functions", nargs="+", metavar="function")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = []
    for name in options.functions:
        size = zipped_bytes(options.builds / name / "bootstrap") / 1e6
        figures.append(figure(f"{name}: zipped size", [size], "MB", below=GOAL))
    show(figures, options.json)


if __name__ == "__main__":
    main()
