#!/bin/sh
# The shell of every peer: one prompt, one environment, and no line editor, so that each byte on the screen is known.
exec env -i PATH="$PATH" HOME="${HOME:-/tmp}" TERM=xterm-256color LANG=C.UTF-8 PS1='bench% ' HISTFILE= \
  bash --norc --noprofile --noediting -i
