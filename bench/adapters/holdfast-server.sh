#!/bin/bash
# Holdfast as one process for the harness: if that is killed, launcher, web and gateway die with it. Hosts do not.
node cli/bin.mjs start &
launcher=$!
# This reader sees the end of its input when the process above is gone; a word means that it ended by itself.
exec 3> >(
  trap '' TERM INT
  read -r word
  [ -n "$word" ] || kill -9 "$launcher" $(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$HOLDFAST_DATA_DIR"/run/children/*.json)
)
trap 'kill -TERM "$launcher"' TERM INT
while kill -0 "$launcher" 2>/dev/null; do wait "$launcher"; done
echo ended >&3
