#!/bin/sh
# The first process of a machine: it makes the machine's own places, then keeps the machine's programs running.
# usage: machine.sh <script with the programs> <folder of the logs> [cgroup] [own folder ...]
set -eu
programs=$1 logs=$2 cgroup=${3:-}
shift 3 2>/dev/null || shift $#

for controller in $cgroup; do
    echo $$ > "$controller/cgroup.procs"
done
mount --make-rshared /
for folder in "$@"; do
    mount -t tmpfs tmpfs "$folder"
done

# keep NAME COMMAND...: run it, and run it again when it ends.
keep() {
    name=$1
    shift
    while true; do
        "$@" >> "$logs/$name.log" 2>&1 || true
        echo "--- $name ended; it is started again" >> "$logs/$name.log"
        sleep 0.5
    done &
}

wait_for() {
    until test -S "$1"; do sleep 0.1; done
}

. "$programs"
wait
