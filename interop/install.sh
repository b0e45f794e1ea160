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

kafka_version=4.3.1

have() { [ -e "$dir/$1.done" ]; }
done_() { touch "$dir/$1.done"; }

# librdkafka's own tool
command -v kcat >/dev/null || { apt-get update -qq; apt-get install -y -qq kcat >/dev/null; }

# kafka-python of today, and librdkafka under Python
if ! have python; then
  python3 -m venv python
  python/bin/pip install -q --disable-pip-version-check kafka-python confluent-kafka six setuptools wheel
  done_ python
fi

# kafka-python 0.9.5, the client of the 2015 article. Two words keep it from being imported by Python 3.7 and later:
# `async` as an attribute's name, and `raise StopIteration` inside a generator (PEP 479).
if ! have python095; then
  rm -rf python095 sdist
  python/bin/pip download -q --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: -d sdist kafka-python==0.9.5
  mkdir -p python095
  tar -xzf sdist/kafka-python-0.9.5.tar.gz -C python095 --strip-components=1
  find python095/kafka -name '*.py' -exec sed -i -E 's/\basync\b/async_/g; s/raise StopIteration\(\)/return/' {} +
  done_ python095
fi

# kafkajs
if ! have node; then
  mkdir -p node
  (cd node && npm init -y >/dev/null && npm install --silent --no-audit --no-fund kafkajs@2.2.4)
  done_ node
fi

# Apache Kafka's own command-line tools
if ! have java-$kafka_version; then
  mkdir -p java
  sed "s/@KAFKA_VERSION@/$kafka_version/" "$here/pom.xml" > java/pom.xml
  (cd java && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib)
  done_ java-$kafka_version
fi
echo "clients are in $dir"
