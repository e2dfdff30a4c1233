#!/bin/bash
# Start a Qdrant node without ever founding a second cluster.
#
# A node that has been a member says only where it is. A node without joins through any peer that lives.
# Only the first node founds, and only with the permission that is left in its data once, when the stack is first
# made: a wiped disk has lost the permission too. Whoever may do neither looks again for a while, because on Kubernetes
# all start at once and the permission comes meanwhile, and then ends here and is started again.
# `exec`, because the image's own entry point leaves before the node has flushed.
set -u
cd /qdrant
ulimit -n "$(ulimit -Hn)"  # every segment holds files open
name=${HOSTNAME%-*} ordinal=${HOSTNAME##*-} nodes=$1 patience_seconds=${2:-8}
own="http://$HOSTNAME:6335"

# A term means that it has been part of a cluster: the file itself is there before the first join has succeeded.
if grep -qs '"term":[1-9]' storage/raft_state.json; then
    rm -f storage/may-found
    exec ./qdrant --uri "$own"
fi
while :; do
    for ((peer = 0; peer < nodes; peer++)); do
        [ "$peer" = "$ordinal" ] && continue
        if timeout 1 bash -c ": < /dev/tcp/$name-$peer/6335" 2>/dev/null; then
            exec ./qdrant --uri "$own" --bootstrap "http://$name-$peer:6335"
        fi
    done
    if [ -e storage/may-found ]; then
        exec ./qdrant --uri "$own"
    fi
    ((SECONDS < patience_seconds)) || break
    sleep 0.5
done
echo "$HOSTNAME: expected a living peer to join, found none, and this node may not found a cluster." \
    "Start the other nodes first; if its disk was lost, replace the node (docs/day-two.md)." >&2
exit 1
