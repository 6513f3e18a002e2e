#!/bin/bash
# Starts an Apache Kafka broker on the loopback interface and waits for it; needs Java 17 and Maven.
#
#   start.sh FOLDER [PORT]      FOLDER takes the jars and the data; PORT is 39092 unless given, and PORT+1 is used too
#
# Prints the line that sets BACKUP_TRACKER_KAFKA. To stop it: kill $(cat FOLDER/broker.pid)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
port=${2:-39092}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -d "$folder/libs" ] || mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder/libs"
rm -rf "$folder/data"
cat > "$folder/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$folder/data
# A transport must not create a topic by looking for it, so the broker is one that would.
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
EOF
java -cp "$folder/libs/*" kafka.tools.StorageTool format -t abcdefghijklmnopqrstuv -c "$folder/server.properties" \
    > "$folder/format.log" 2>&1
nohup java -Xmx512m -cp "$folder/libs/*" kafka.Kafka "$folder/server.properties" > "$folder/broker.log" 2>&1 &
echo $! > "$folder/broker.pid"
tries=0
until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] && kill -0 "$(cat "$folder/broker.pid")" || { cat "$folder/broker.log" >&2; exit 1; }
    sleep 1
done
echo "export BACKUP_TRACKER_KAFKA=127.0.0.1:$port"
