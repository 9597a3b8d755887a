#!/usr/bin/env python3
"""What benchmarks measure: figures beside their peers and goals, as a table for people or as JSON for programs.

As a program it makes one report of the JSON arrays of figures on its standard input.
"""

import argparse
import json
import statistics
import sys


def figure(what, values, unit, peer=None, at_least=None, below=None, higher_is_better=True):
    """One figure, the median of what was measured.

    With a peer's measurements, `at_least` is how many times better than the peer it has to be; otherwise `below` is what
    it has to stay below.
    """
    made = {"what": what, "unit": unit, **spread(values), "peer": None, "ratio": None, "goal": None, "met": None}
    if peer:
        made["peer"] = spread(peer)
        ours, theirs = made["median"], made["peer"]["median"]
        made["ratio"] = ours / theirs if higher_is_better else theirs / ours
    if at_least is not None:
        made |= {"goal": f"at least {at_least}x", "met": made["ratio"] >= at_least}
    if below is not None:
        made |= {"goal": f"below {below} {unit}", "met": made["median"] < below}
    return made


def spread(values):
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "runs": len(values)}


def show(figures, as_json):
    """Prints figures, as JSON on one line or as a table."""
    print(json.dumps(figures) if as_json else table(figures))


def table(figures):
    verdicts = {None: "–", True: "met", False: "MISSED"}
    rows = [("what", "figure", "peer", "ratio", "goal", "result")]
    for f in figures:
        ratio = f"{f['ratio']:.1f}x" if f["ratio"] else "–"
        rows.append((f["what"], cell(f, f["unit"]), cell(f["peer"]), ratio, f["goal"] or "–", verdicts[f["met"]]))
    widths = [max(map(len, column)) for column in zip(*rows)]
    numbers = range(1, 4)  # aligned to the right
    lines = []
    for row in rows:
        cells = [text.rjust(widths[at]) if at in numbers else text.ljust(widths[at]) for at, text in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def cell(measured, unit=""):
    if not measured:
        return "–"
    number = lambda value: f"{value:,.0f}" if value >= 1000 else f"{value:.{1 if value >= 1 else 2}f}"  # noqa: E731
    text = number(measured["median"])
    if measured["runs"] > 1:
        text += f" ({number(measured['lowest'])}–{number(measured['highest'])})"
    return f"{text} {unit}".rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="", help="how and on what it was measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = [figure for line in sys.stdin for figure in json.loads(line)]
    if options.json:
        print(json.dumps({"method": options.method, "figures": figures}, indent=2))
    else:
        print(f"\n{options.method}\nmedian (lowest–highest); MB are 10^6 bytes\n\n{table(figures)}")


if __name__ == "__main__":
    main()
