"""What the drivers of Python's client libraries have in common: the arguments, the answer, the records and the checks
themselves. ../README.md is the contract. A driver subclasses Library and Member, overriding what its client offers; what
it leaves is answered "unsupported"."""
import hashlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Optional

from error_names import code_name


class Unsupported(Exception):
    """The library has no such feature; the text says which."""


class Failed(Exception):
    """The check saw something else than it had to."""


@dataclass
class Record:
    key: Optional[bytes] = None
    value: Optional[bytes] = None
    headers: list = field(default_factory=list)  # of (name, bytes or None)
    timestamp_ms: Optional[int] = None
    partition: int = 0
    offset: int = -1
    log_append: Optional[bool] = None  # None: the library does not say


@dataclass
class Description:
    brokers: int
    controller_known: bool
    partitions: int
    leaders_known: bool
    internal: Optional[bool] = None


class Library:
    """A client library connected to params["bootstrap"]. Topics, groups and offsets are of partition 0 where none is named.
    An error of the broker is raised as the library raises it; error_code tells Kafka's code of it, or None."""

    creates_topics = True  # has an admin API; otherwise create_topic lets the broker create it
    null_headers = True  # a header's value may be null
    has_headers = has_timestamps = has_groups = True
    client = package = None

    def __init__(self, params):
        self.params = params

    def version(self):
        from importlib.metadata import version
        return version(self.package)

    def error_code(self, error):
        return None

    def own_error(self, error):
        """The library's own name of an error without a code."""
        return type(error).__name__

    def create_topic(self, topic, partitions, replicas=1, configs=None):
        raise Unsupported("no API to create topics")

    def describe(self, topic):
        raise Unsupported("no metadata API")

    def describe_unknown(self, topic):
        """describe, but never creating the topic."""
        return self.describe(topic)

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, batch_records=0):
        """Writes in order and returns the offsets, -1 where unknown."""
        raise NotImplementedError

    def read(self, topic, at, partition_bytes_max=None, read_committed=False):
        """Opens a reader at "start", "end" or an offset, where it is when this returns. It has next() -> records,
        which may be none, and close()."""
        raise NotImplementedError

    def offset_at(self, topic, timestamp_ms):
        raise Unsupported("no offsets by time")

    def join(self, topic, group, assignor="range", instance=None, limit=None):
        """Opens a member. limit: how many records will be asked for, for libraries that commit what they have read."""
        raise Unsupported("no consumer groups")

    def committed(self, group, topic):
        raise Unsupported("no committed offsets of another group")

    def list_topics(self):
        raise Unsupported("no API to list and delete topics")

    delete_topic = list_topics

    def describe_configs(self, topic):
        raise Unsupported("no API to describe and alter configs")

    alter_config = describe_broker_configs = describe_configs

    def create_partitions(self, topic, total):
        raise Unsupported("no API to create partitions")

    def delete_records(self, topic, before):
        raise Unsupported("no API to delete records")

    def list_groups(self):
        raise Unsupported("no API to list, describe and delete groups")

    describe_group = delete_group = list_groups

    def earliest(self, topic):
        raise Unsupported("no API to list and alter offsets")

    latest = alter_offset = earliest

    def max_timestamp(self, topic):
        raise Unsupported("no offset of the largest timestamp")

    def delete_offset(self, group, topic):
        raise Unsupported("no API to delete a group's offsets")

    def describe_cluster(self):
        raise Unsupported("no API to describe the cluster")

    def describe_log_dirs(self, topic):
        raise Unsupported("no API to describe log directories")

    def describe_producers(self, topic):
        raise Unsupported("no API to describe producers")

    def describe_features(self):
        raise Unsupported("no API to describe features")

    def elect_leader(self, topic, unclean):
        raise Unsupported("no API to elect leaders")

    def list_reassignments(self):
        raise Unsupported("no API to reassign partitions")

    reassign = list_reassignments

    def describe_acls(self):
        raise Unsupported("no API for ACLs")

    create_acl = delete_acl = describe_acls

    def describe_scram(self, user):
        raise Unsupported("no API for SCRAM credentials")

    delete_scram = upsert_scram = describe_scram

    def create_token(self):
        raise Unsupported("no API for delegation tokens")

    describe_tokens = create_token

    def quotas(self, client_id):
        raise Unsupported("no API for quotas")

    set_quota = quotas

    def transactional(self, transactional_id):
        """A producer with init(), write(topic, records), which begins, commit(), abort() and close()."""
        raise Unsupported("no transactions")


class Member:
    """A member of a group in a thread of its own, since the poll of most libraries blocks while the group rebalances. A
    subclass opens its client in open(), and returns what came within about 100 ms from poll_once(); its callbacks keep
    held, assigned (how often it was given partitions) and revoked (how many were taken)."""

    def __init__(self):
        self.held, self.assigned, self.revoked = set(), 0, 0
        self._records, self._calls, self._error = queue.Queue(), queue.Queue(), None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.open()
            while True:
                try:
                    call, done = self._calls.get_nowait()
                except queue.Empty:
                    for record in self.poll_once():
                        self._records.put(record)
                    continue
                last = False
                try:
                    last = call()
                    done.put(None)
                except Exception as error:
                    done.put(error)
                if last:
                    return
        except Exception as error:
            self._error = error

    def _in_thread(self, call):
        done = queue.Queue()
        self._calls.put((call, done))
        while True:
            try:
                error = done.get(timeout=0.1)
            except queue.Empty:
                if self._error:
                    raise self._error
                continue
            if error:
                raise error
            return

    def on_assigned(self, partitions, cooperative=False):
        if partitions:
            self.assigned += 1
        self.held = (self.held if cooperative else set()) | set(partitions)

    def on_revoked(self, partitions):
        self.revoked += len(partitions)
        self.held = self.held - set(partitions)

    def poll(self):
        if self._error:
            raise self._error
        records = []
        while True:
            try:
                records.append(self._records.get_nowait())
            except queue.Empty:
                return records

    def commit(self, offsets):
        """Commits the next offset to read of each partition."""
        self._in_thread(lambda: self.commit_once(offsets))

    def leave(self):
        """Closes the member and has it leave the group."""
        self._end(self.close_once)

    def stop(self):
        """Closes the member without a word, as a static one does."""
        self._end(self.close_once)

    def _end(self, close):
        if self._thread.is_alive():
            self._in_thread(lambda: close() or True)
            self._thread.join()


class Run:
    """One check under way."""

    def __init__(self, library, params):
        self.library, self.params, self.facts = library, params, {}
        self.topic, self.group = params["topic"], params["group"]
        self.replicas = params.get("replication_factor", 1)
        self.deadline = time.monotonic() + params["timeout_ms"] / 1000 * 0.9

    def until(self, what, holds):
        """Asks again and again, with short pauses, until the condition holds or the check's time is over."""
        while not holds():
            if time.monotonic() > self.deadline:
                raise Failed(what + ": not before the time was over")
            time.sleep(0.02)

    def name(self, error):
        if error is None:
            return "NONE"
        code = self.library.error_code(error)
        return code_name(code) if code is not None else "client:" + self.library.own_error(error)

    def error(self, call, *args):
        """The name of what a call raises."""
        try:
            call(*args)
        except (Unsupported, Failed):
            raise
        except Exception as error:
            return self.name(error)
        return "NONE"

    def fact(self, name, call, *args):
        """Notes the name of what a call raises, unless the library cannot ask."""
        try:
            self.facts[name] = self.error(call, *args)
        except Unsupported:
            pass

    def ask(self, name, call, *args):
        """Notes what a call returns, or the name of what it raises, unless the library cannot ask."""
        try:
            self.facts[name] = call(*args)
        except Unsupported:
            pass
        except Exception as error:
            self.facts[name] = self.name(error)

    def expect(self, what, saw, want):
        if saw != want:
            raise Failed("%s: %s, expected %s" % (what, saw, want))

    def create(self, topic, partitions, configs=None):
        """Creates a topic and waits until metadata shows all of it; returns how many partitions there are."""
        if not self.library.creates_topics and configs:
            raise Unsupported("no API to create topics with configs")
        self.library.create_topic(topic, partitions, self.replicas, configs)
        return self.shown(topic, partitions if self.library.creates_topics else None)

    def shown(self, topic, partitions):
        def holds():
            try:
                self.description = self.library.describe(topic)
            except (Unsupported, Failed):
                raise
            except Exception:
                return False
            d = self.description
            return d.leaders_known and (d.partitions == partitions if partitions else d.partitions > 0)
        self.until("metadata of " + topic, holds)
        return self.description.partitions

    def produce(self, topic, base, records, **options):
        """Writes records and checks that the offsets that were acknowledged, where they are known, follow base."""
        offsets, n = self.library.produce(topic, records, **options), {}
        for i, (offset, record) in enumerate(zip(offsets, records)):
            want = base + n.get(record.partition, 0)
            n[record.partition] = n.get(record.partition, 0) + 1
            if offset not in (-1, want):
                raise Failed("acknowledged offset of record %d: %s, expected %d" % (i, offset, want))
        self.expect("offsets acknowledged", len(offsets), len(records))

    def read_all(self, topic, at, n, **options):
        """Reads n records from a position and checks that their offsets are consecutive."""
        reader = self.library.read(topic, at, **options)
        try:
            return self.next(reader, n)
        finally:
            reader.close()

    def next(self, reader, n):
        got = []
        while len(got) < n:
            got += reader.next()
            if time.monotonic() > self.deadline:
                raise Failed("%d of %d records read before the time was over" % (len(got), n))
        self.expect("records read", len(got), n)
        offsets = [r.offset for r in got]
        self.expect("offsets read", offsets, list(range(offsets[0], offsets[0] + n)))
        return got


def value(i, size=200):
    return (b"value-%04d-" % i).ljust(size, b"x")


def records(start, end, partition=0):
    """The canonical records from start to end-1."""
    return [Record(b"key-%04d" % i, value(i), partition=partition) for i in range(start, end)]


def digest(rs):
    return hashlib.sha256(b"".join(r.key + b"|" + r.value + b"\n" for r in rs)).hexdigest()


def main(library_class):
    args = sys.argv[1:]
    if args == ["version"]:
        library = library_class(None)
        print(json.dumps({"status": "ok", "facts": {"client": library.client, "version": library.version()}}))
        return
    from checks import CHECKS
    check, params = CHECKS[args[0]], json.loads(args[1])
    answer, run = {}, None
    try:
        library = library_class(params)
        run = Run(library, params)
        check(run)
        answer = {"status": "ok", "facts": run.facts}
    except Unsupported as error:
        answer = {"status": "unsupported", "detail": str(error), "facts": {}}
    except Exception as error:
        traceback.print_exc()
        detail = str(error) if isinstance(error, Failed) else "%s: %s" % (type(error).__name__, error)
        answer = {"status": "failed", "detail": detail.replace("\n", " "), "facts": run.facts if run else {}}
    print(json.dumps(answer), flush=True)
    # Threads of the library that are still at work have nothing more to say.
    os._exit(0)
