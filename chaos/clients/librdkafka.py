"""librdkafka at work while its cluster is broken, through confluent-kafka. ../workload/doc.go says what it does and reports.

librdkafka.py NAME BOOTSTRAP TOPIC PARTITIONS RATE PATIENCE_MS REQUEST_TIMEOUT_MS UNDER_WAY_MAX KEY_BYTES
"""
import faulthandler
import json
import random
import signal
import sys
import threading
import time

import confluent_kafka as ck

NAME, BOOTSTRAP, TOPIC = sys.argv[1:4]
PARTITIONS, RATE, PATIENCE_MS, REQUEST_TIMEOUT_MS, UNDER_WAY_MAX, KEY_BYTES = map(int, sys.argv[4:10])
KEY = "k" * KEY_BYTES
COMMIT_EVERY, MEMBERSHIP_MIN, MEMBERSHIP_MAX = 1, 15, 60  # seconds

stopping, ending = threading.Event(), threading.Event()
output = threading.Lock()


def now():
    return time.time_ns() // 1000


def tell(kind, **fields):
    with output:
        sys.stdout.write(json.dumps({"t": now(), "e": kind, **fields}) + "\n")
        sys.stdout.flush()


def guarded(run):
    """A thread that dies is reported, and not only missed."""
    def body(*args):
        try:
            run(*args)
        except Exception as e:
            tell("problem", err="%s%r: %r" % (run.__name__, args, e))
    return body


last_errors, last_statistics = {}, {}  # by client.id, with their times


def log_error(name, error):
    last_errors[name] = (now(), str(error))
    print(now(), name, error, file=sys.stderr, flush=True)


def dissect(*_):
    """What each producer and consumer has last said of itself. The stacks are written by faulthandler, whatever Python does."""
    for name, (at, error) in list(last_errors.items()):
        print("last error of", name, at, error, file=sys.stderr)
    for name, (at, statistics) in list(last_statistics.items()):
        print("statistics of", name, at, statistics, file=sys.stderr)
    sys.stderr.flush()


def conf(name, **more):
    return {"bootstrap.servers": BOOTSTRAP, "client.id": name, "log.connection.close": False,
            "error_cb": lambda error: log_error(name, error), "statistics.interval.ms": 5000,
            "stats_cb": lambda statistics: last_statistics.__setitem__(name, (now(), statistics)),
            "reconnect.backoff.ms": 100, "reconnect.backoff.max.ms": 1000, "retry.backoff.ms": 100,
            "socket.timeout.ms": REQUEST_TIMEOUT_MS, "socket.connection.setup.timeout.ms": REQUEST_TIMEOUT_MS,
            "topic.metadata.refresh.interval.ms": 5000,
            # Else it forgets its brokers when all are down, and while it does so its threads can wait for each other for ever:
            # docs/decisions/fenced-brokers.md.
            "metadata.recovery.strategy": "none", **more}


class Producer:
    def __init__(self):
        self.producer = ck.Producer(conf(NAME + "-producer", **{
            "enable.idempotence": True, "acks": "all", "linger.ms": 0, "compression.type": "none",
            "request.timeout.ms": REQUEST_TIMEOUT_MS, "message.timeout.ms": PATIENCE_MS, "queue.buffering.max.messages": 100000,
            "debug": "eos"}))  # says why it takes a new epoch, with which it writes again what it has not been answered
        self.under_way = [0] * PARTITIONS

    def run(self):
        i, due = 0, time.monotonic()
        while not stopping.is_set():
            self.send(i % PARTITIONS, "%s-%d" % (NAME, i))
            i += 1
            due += 1 / RATE
            self.producer.poll(max(0, due - time.monotonic()))
            while time.monotonic() < due:
                self.producer.poll(max(0, due - time.monotonic()))
        while any(self.under_way):
            self.producer.poll(0.1)
        tell("stopped")

    def send(self, partition, value):
        if self.under_way[partition] >= UNDER_WAY_MAX:
            return
        self.under_way[partition] += 1
        tell("send", w=NAME, p=partition, v=value)
        self.producer.produce(TOPIC, value, KEY, partition=partition, on_delivery=lambda error, message: self.delivered(partition, value, error, message))

    def delivered(self, partition, value, error, message):
        self.under_way[partition] -= 1
        if error is None:
            # A record whose request got no answer counts as delivered when one behind it is; it is then given offset 0.
            tell("ack", p=partition, o=message.offset() or -1, v=value)
        else:
            tell("unknown", p=partition, v=value, err=error.name())


def got(consumer, messages, name, group, poll):
    """Reports what a poll has returned, and returns the offsets behind it."""
    behind = {}
    for m in messages:
        if m.error() is not None:
            log_error(name, m.error())
            continue
        tell("read", c=name, g=group, p=m.partition(), o=m.offset(), v=m.value().decode(), n=poll)
        behind[m.partition()] = m.offset() + 1
    return behind


CONSUMER = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.wait.max.ms": 250, "fetch.error.backoff.ms": 100}


def read_all(name):
    consumer = ck.Consumer(conf(name, **CONSUMER, **{"group.id": name}))
    for p in range(PARTITIONS):
        tell("assign", c=name, p=p, o=0)
    consumer.assign([ck.TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)])
    poll = 0
    while not ending.is_set():
        poll += 1
        got(consumer, consumer.consume(500, 0.25), name, "", poll)
    consumer.close()


class Member:
    """One membership in the group, from joining to leaving."""

    def __init__(self, name):
        self.name, self.group, self.behind = name, NAME, {}
        self.consumer = ck.Consumer(conf(name, **CONSUMER, **{
            "group.id": self.group, "session.timeout.ms": 6000, "heartbeat.interval.ms": 1000, "max.poll.interval.ms": 30000}))

    def run(self, until):
        self.consumer.subscribe([TOPIC], on_assign=self.assigned, on_revoke=self.revoked, on_lost=self.lost)
        poll, due = 0, time.monotonic() + COMMIT_EVERY
        while not ending.is_set() and time.monotonic() < until:
            poll += 1
            self.behind.update(got(self.consumer, self.consumer.consume(500, 0.25), self.name, self.group, poll))
            if time.monotonic() >= due:
                self.commit()
                due = time.monotonic() + COMMIT_EVERY
        self.consumer.close()

    def assigned(self, consumer, partitions):
        begin, starts = now(), {}
        try:
            for p in consumer.committed(partitions, timeout=5):
                if p.error is None:
                    starts[p.partition] = max(p.offset, -1)
                    tell("fetched", g=self.group, p=p.partition, o=starts[p.partition], b=begin)
        except ck.KafkaException as e:
            log_error(self.name, e.args[0])
        for p in partitions:
            tell("assign", c=self.name, g=self.group, p=p.partition, o=max(starts[p.partition], 0) if p.partition in starts else -1)

    def revoked(self, consumer, partitions):
        self.commit()
        self.lost(consumer, partitions)

    def lost(self, consumer, partitions):
        for p in partitions:
            self.behind.pop(p.partition, None)

    def commit(self):
        if not self.behind:
            return
        begin = now()
        outcome = {p: "no answer" for p in self.behind}
        try:
            for p in self.consumer.commit(offsets=[ck.TopicPartition(TOPIC, p, o) for p, o in self.behind.items()], asynchronous=False):
                outcome[p.partition] = "" if p.error is None else p.error.name()
        except ck.KafkaException as e:
            log_error(self.name, e.args[0])
        for p, o in self.behind.items():
            tell("commit", g=self.group, p=p, o=o, b=begin, err=outcome[p])


def member(name, number):
    while not ending.is_set():
        stay = random.uniform(MEMBERSHIP_MIN, MEMBERSHIP_MAX) if number else float("inf")
        Member(name).run(time.monotonic() + stay)


def main():
    signal.signal(signal.SIGQUIT, dissect)
    faulthandler.register(signal.SIGQUIT, all_threads=True, chain=True)
    print("confluent-kafka", ck.version(), "librdkafka", ck.libversion()[0], file=sys.stderr, flush=True)
    work = [(guarded(Producer().run), ()), (guarded(read_all), (NAME + "-assign",))]
    work += [(guarded(member), ("%s-group-%d" % (NAME, i), i)) for i in range(2)]
    threads = [threading.Thread(target=run, args=args, daemon=True) for run, args in work]
    for t in threads:
        t.start()
    for line in sys.stdin:
        if line.strip() == "stop":
            stopping.set()
        elif line.strip() == "end":
            break
    stopping.set()
    ending.set()
    for t in threads[1:]:
        t.join(30)


main()
