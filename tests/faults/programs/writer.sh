# Prints numbered lines with a checksum for ever: bash writer.sh NAME BURST. A number in the file BURST is taken out of it,
# and so many lines are printed at once.
name=$1 burst=$2 n=0 pad=----------------------------
exec 9<> <(:) # nothing ever comes from here: a clock without a process
line() {
  n=$((n + 1))
  printf '%s %08d %08x %s\n' "$name" "$n" "$(((n * 2654435761) & 0xffffffff))" "$pad"
}
echo # after what the shell has left on its line
while :; do
  line
  if [[ -s $burst ]]; then
    read -r count <"$burst"
    : >"$burst"
    for ((i = 0; i < count; i++)); do line; done
  fi
  read -r -t 0.02 -u 9
done
