# To be sourced: waits until no other process is in the script that does so, and keeps others out until it has ended.
# Parts run beside each other, and what they need is made once.
cache=${MEMORY_MAP_CACHE:-$HOME/.cache/memory-map}
mkdir -p "$cache"
exec {lock}>"$cache/${0##*/}.lock"
flock "$lock"
