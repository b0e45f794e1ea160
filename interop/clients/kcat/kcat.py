"""kcat, librdkafka's own tool: each call is a run of the program."""
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import driver
from driver import Description, Record, Unsupported


class KcatError(Exception):
    """What kcat wrote to standard error."""


class Process:
    """A kcat that prints records as JSON, and what it says meanwhile. EOF of the partition and the group's assignments
    are among that."""

    def __init__(self, *args):
        self.records, self.held, self.assigned, self.revoked, self.at_end = queue.Queue(), set(), 0, 0, threading.Event()
        self.process = subprocess.Popen(["kcat", *args, "-J", "-u"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            m = json.loads(line)
            flat = iter(m.get("headers", []))
            headers = [(name, None if v is None else v.encode()) for name, v in zip(flat, flat)]
            self.records.put(Record(m["key"] and m["key"].encode(), m["payload"] and m["payload"].encode(), headers, m["ts"],
                                    m["partition"], m["offset"], {"create": False, "logappend": True}.get(m["tstype"])))

    def _listen(self):
        for line in self.process.stderr:
            if "Reached end of topic" in line:
                self.at_end.set()
            if " rebalanced" not in line:
                continue
            partitions = {int(p) for p in re.findall(r"\[(\d+)\]", line)}
            if " revoke" in line:
                self.revoked += len(partitions)
                self.held = self.held - partitions
            else:
                self.assigned += 1 if partitions else 0
                self.held = self.held | partitions

    def poll(self):
        out = []
        while not self.records.empty():
            out.append(self.records.get())
        return out

    def next(self):
        try:
            return [self.records.get(timeout=0.1)] + self.poll()
        except queue.Empty:
            return []

    def commit(self, offsets):
        """kcat commits what it has read when it gives up a partition or ends."""

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    leave = stop = close


class Library(driver.Library):
    client = "kcat"
    creates_topics = False
    has_timestamps = False

    def version(self):
        text = subprocess.run(["kcat", "-V"], capture_output=True, text=True)
        found = re.search(r"Version (\S+).*librdkafka (\S+)", text.stdout + text.stderr)
        return "%s (librdkafka %s)" % found.groups()

    def own_error(self, error):
        return str(error) if isinstance(error, KcatError) else super().own_error(error)

    def run(self, *args, stdin=b""):
        done = subprocess.run(["kcat", "-b", self.params["bootstrap"], *args], input=stdin, capture_output=True, timeout=15)
        if done.returncode != 0 or b"Delivery failed" in done.stderr:
            said = re.search(r"(Broker: [^\n\"]*|Local: [^\n\"]*)", done.stderr.decode())
            raise KcatError(said[1].strip() if said else done.stderr.decode()[-200:])
        return done.stdout

    def create_topic(self, topic, partitions, replicas=1, configs=None):
        try:
            self.describe(topic)
        except KcatError:
            pass  # Kafka's first answer for a topic that it makes is that there is none

    def metadata(self, *args):
        return json.loads(self.run("-L", "-J", *args))

    def describe(self, topic):
        m = self.metadata("-t", topic)
        t = m["topics"][0]
        if t.get("error"):
            raise KcatError(t["error"])
        return Description(len(m["brokers"]), m["controllerid"] >= 0, len(t["partitions"]),
                           all(p["leader"] >= 0 for p in t["partitions"]))

    def describe_unknown(self, topic):
        raise Unsupported("asking for a topic creates it")

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, batch_records=0):
        conf = ["-X", "acks=" + acks, "-X", "linger.ms=5", "-z", codec]
        if idempotent:
            conf += ["-X", "enable.idempotence=true"]
        if batch_records:
            conf += ["-X", "batch.num.messages=%d" % batch_records]
        # Headers and keys are said once for a run of kcat.
        runs = []
        for r in records:
            if runs and runs[-1][0].headers == r.headers:
                runs[-1].append(r)
            else:
                runs.append([r])
        for rs in runs:
            headers = [a for k, v in rs[0].headers for a in ("-H", k if v is None else k + "=" + v.decode())]
            keyed = ["-K", "|"] if rs[0].key is not None else []
            lines = b"".join((r.key + b"|" if keyed else b"") + r.value + b"\n" for r in rs)
            self.run("-P", "-t", topic, "-p", str(rs[0].partition), *conf, *headers, *keyed, stdin=lines)
        return [-1] * len(records)

    def read(self, topic, at, partition_bytes_max=None, read_committed=False):
        offset = {"start": "beginning"}.get(at, str(at))
        conf = ["-X", "fetch.wait.max.ms=100"]
        if partition_bytes_max:
            conf += ["-X", "fetch.message.max.bytes=%d" % partition_bytes_max]
        reader = Process("-b", self.params["bootstrap"], "-C", "-t", topic, "-p", "0", "-o", offset, *conf)
        if at == "end" and not reader.at_end.wait(10):
            raise KcatError("the end was not reached")
        return reader

    def offset_at(self, topic, timestamp_ms):
        answer = self.run("-Q", "-t", "%s:0:%d" % (topic, timestamp_ms)).decode()
        return int(re.search(r"offset (-?\d+)", answer)[1])

    def join(self, topic, group, assignor="range", instance=None, limit=None):
        if assignor == "cooperative-sticky":
            raise Unsupported("its answer to a rebalance is the eager protocol's")
        conf = ["-X", "partition.assignment.strategy=" + assignor, "-X", "auto.offset.reset=earliest",
                "-X", "heartbeat.interval.ms=200", "-X", "fetch.wait.max.ms=100"]
        if instance:
            conf += ["-X", "group.instance.id=" + instance]
        if limit:
            conf += ["-c", str(limit)]
        return Process("-b", self.params["bootstrap"], *conf, "-G", group, topic)

    def earliest(self, topic):
        return self.offset_at(topic, -2)

    def latest(self, topic):
        return self.offset_at(topic, -1)

    def alter_offset(self, group, topic, offset):
        raise Unsupported("no API to alter a group's offsets")

    def describe_cluster(self):
        m = self.metadata()
        return {"brokers": len(m["brokers"]), "controller_known": m["controllerid"] >= 0}

    def transactional(self, transactional_id):
        raise Unsupported("a run is one transaction, which it commits")


if __name__ == "__main__":
    driver.main(Library)
