#!/usr/bin/env bash
# Keeps words out of sources, docs and messages that a plain sentence does not need. Exceptions: scripts/words-allowed.txt,
# one extended regular expression a line, which is matched against FILE:LINE:TEXT.
set -euo pipefail
cd "$(dirname "$0")/.."

banned='\b(mend(s|ed|ing)?|nobody|told|handed in|put aside|judg(e|es|ed|ing)|judge?ments?)\b|\b(is|are) no [a-z]+'
# "is no longer", "is no more than" and "there is no" are plain English.
harmless='\b(is|are) no (longer|more)\b|\bthere (is|are) no\b'

found=$(git ls-files | grep -vE '^(Cargo\.lock|LICENSE|scripts/words.*|.*package-lock\.json)$' |
  xargs -d '\n' grep -IHniE "$banned" | sed -E "s/$harmless//gI" | grep -iE "$banned" |
  grep -vE --file=<(grep -vE '^(#|$)' scripts/words-allowed.txt) || true)
if [ -n "$found" ]; then
  printf '%s\n' "$found" >&2
  echo "reword these (fix, report, submit, quarantine, score, is not a …), or allow them in scripts/words-allowed.txt" >&2
  exit 1
fi
