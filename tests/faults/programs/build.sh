# Works in the background until it is ended: bash build.sh COUNT. It counts in a file, and says something now and then.
count=$1 n=0
exec 9<> <(:)
echo $$ >"$count.pid"
while :; do
  n=$((n + 1))
  echo "$n" >"$count"
  ((n % 10)) || echo "built $n"
  read -r -t 0.1 -u 9
done
