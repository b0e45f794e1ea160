"""The checks, by the names of ../README.md."""
import time

from driver import Failed, Record, Unsupported, digest, records, value

GROUP_PARTITIONS = 4


def topic_create(run):
    run.facts["partitions"] = run.create(run.topic, 3)
    if run.library.creates_topics:
        run.fact("again", run.library.create_topic, run.topic, 3, run.replicas)
        run.fact("invalid_name", run.library.create_topic, "a/b", 1)
        run.fact("replication_factor_3", run.library.create_topic, run.topic + "-three", 1, 3)


def metadata(run):
    run.create(run.topic, 3)
    d = run.description  # another node need not know it yet
    run.facts.update(brokers=d.brokers, partitions=d.partitions, leaders_known=d.leaders_known)
    if d.controller_known is not None:
        run.facts["controller_known"] = d.controller_known
    run.fact("unknown_topic", run.library.describe_unknown, run.topic + "-unknown")


def produce_with(**options):
    def check(run):
        run.create(run.topic, 1)
        written = records(0, 100)
        run.produce(run.topic, 0, written, **options)
        got = run.read_all(run.topic, "start", 100)
        run.facts.update(base_offset=got[0].offset, count=len(got), sha256=digest(got))
        run.expect("sha256 of what was read", digest(got), digest(written))
    return check


def produce_headers(run):
    if not run.library.has_headers:
        raise Unsupported("no headers")
    run.create(run.topic, 1)
    written = records(0, 2)
    written[0].headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None), ("b", b"3")]
    if not run.library.null_headers:
        del written[0].headers[3]
    run.produce(run.topic, 0, written)
    got = run.read_all(run.topic, "start", 2)
    run.facts["headers"] = [[[k, None if v is None else v.decode()] for k, v in r.headers] for r in got]
    # Some libraries read no bytes and null as the same; the fact shows it.
    saw = [[(k, v or b"") for k, v in r.headers] for r in got]
    run.expect("headers", saw, [[(k, v or b"") for k, v in r.headers] for r in written])


def produce_timestamps(run):
    if not run.library.has_timestamps:
        raise Unsupported("no timestamps of its own choice")
    appended = run.params.get("topic_log_append")
    if not appended:
        appended = run.topic + "-append"
        run.create(appended, 1, {"message.timestamp.type": "LogAppendTime"})
    run.create(run.topic, 1)
    given = int(time.time() * 1000) - 3600_000

    def read_back(topic):
        offset = run.library.produce(topic, [Record(b"key", b"value", timestamp_ms=given)])[0]
        if offset == -1:
            raise Unsupported("no offset of what was written, to find it again")
        return run.read_all(topic, offset, 1)[0]

    created, stamped = read_back(run.topic), read_back(appended)
    run.facts["create_time_kept"] = created.timestamp_ms == given
    run.facts["log_append_time_later"] = stamped.timestamp_ms > given
    for name, record in ("create_type", created), ("log_append_type", stamped):
        if record.log_append is not None:
            run.facts[name] = "LOG_APPEND_TIME" if record.log_append else "CREATE_TIME"
    run.expect("the timestamp read", created.timestamp_ms, given)


def produce_too_large(run):
    topic = run.params.get("topic_small")
    if not topic:
        topic = run.topic
        run.create(topic, 1, {"max.message.bytes": "10000"})
    run.facts["error"] = run.error(run.library.produce, topic, [Record(b"key", value(0, 20000))])
    run.facts["small"] = run.error(run.library.produce, topic, records(0, 1))
    if run.facts["error"] == "NONE" or run.facts["small"] != "NONE":
        raise Failed("a record of 20000 bytes was accepted, or one of 200 was not")


def produce_idempotent(run):
    run.create(run.topic, 1)
    run.produce(run.topic, 0, records(0, 1000), idempotent=True, batch_records=100)
    got = run.read_all(run.topic, "start", 1000)
    keys = [r.key for r in got]
    run.facts.update(count=len(got), distinct=len(set(keys)), in_order=keys == sorted(keys))
    run.expect("distinct records", len(set(keys)), 1000)
    run.expect("order kept", keys == sorted(keys), True)


def read_from(run, at, first, n):
    got = run.read_all(run.topic, at, n)
    run.facts.update(first_offset=got[0].offset, count=len(got))
    run.expect("first offset read", got[0].offset, first)


def consume_from(at, first):
    def check(run):
        run.create(run.topic, 1)
        run.produce(run.topic, 0, records(0, 100))
        read_from(run, at, first, 100 - first)
    return check


def consume_end(run):
    run.create(run.topic, 1)
    run.produce(run.topic, 0, records(0, 100))
    reader = run.library.read(run.topic, "end")
    run.produce(run.topic, 100, records(100, 110))
    got = run.next(reader, 10)
    reader.close()
    run.facts.update(first_offset=got[0].offset, count=len(got))
    run.expect("first offset read", got[0].offset, 100)


def timed():
    """100 records a second apart, and the time of the first."""
    start, rs = int(time.time() * 1000) - 1000_000, records(0, 100)
    for i, record in enumerate(rs):
        record.timestamp_ms = start + i * 1000
    return rs, start


def consume_timestamp(run):
    if not run.library.has_timestamps:
        raise Unsupported("no timestamps of its own choice to ask for")
    run.create(run.topic, 1)
    rs, start = timed()
    run.produce(run.topic, 0, rs)
    read_from(run, run.library.offset_at(run.topic, start + 41500), 42, 58)
    run.ask("beyond_end", run.library.offset_at, run.topic, int(time.time() * 1000) + 3600_000)


def consume_max_bytes(run):
    run.create(run.topic, 1)
    for i in range(5):
        run.produce(run.topic, i, [Record(None, value(i, 10000))])
    got = run.read_all(run.topic, "start", 5, partition_bytes_max=1000)
    run.facts.update(first_offset=got[0].offset, count=len(got))


class Group:
    """The members of a group and what they have read."""

    def __init__(self, run, *options):
        if not run.library.has_groups:
            raise Unsupported("no consumer groups")
        self.run, self.seen = run, {}
        self.members = [run.library.join(run.topic, run.group, **o) for o in options]

    def until(self, what, holds):
        def drained():
            for member in self.members:
                for record in member.poll():
                    key = (record.partition, record.offset)
                    self.seen[key] = self.seen.get(key, 0) + 1
            return holds()
        self.run.until(what, drained)

    def counts(self):
        return sorted(len(m.held) for m in self.members)

    def shares(self, *want):
        """Waits until the members hold so many partitions each and all of them together."""
        self.until("shares of %s" % (want,), lambda: self.counts() == list(want) and
                   len(set().union(*(m.held for m in self.members))) == GROUP_PARTITIONS)

    def read(self, base):
        """Writes 25 records to each partition, from offset base on, and waits until the members have read them."""
        before = len(self.seen)
        for p in range(GROUP_PARTITIONS):
            self.run.produce(self.run.topic, base, records(base, base + 25, p))
        self.until("100 records read", lambda: len(self.seen) - before >= 100)
        return len(self.seen) - before

    def commit(self, offset):
        """Commits the offset of all partitions, by the members that hold them."""
        self.run.expect("partitions held by members that commit", sum(self.counts()), GROUP_PARTITIONS)
        for member in self.members:
            member.commit({p: offset for p in member.held})

    def duplicates(self):
        return sum(n - 1 for n in self.seen.values())

    def expect_no_duplicates(self, rebalanced):
        """rebalanced tells how often the members were given partitions: what is read twice without a commit between is
        read twice after that, or for no good reason."""
        twice = {}
        for (partition, offset), n in self.seen.items():
            if n > 1:
                twice.setdefault(partition, []).append(offset)
        if twice:
            raise Failed("%d records were read twice: %s; %s" % (self.duplicates(), "; ".join(
                "%d of partition %d, offsets %d to %d" % (len(o), p, min(o), max(o)) for p, o in sorted(twice.items())), rebalanced))

    def leave(self):
        for member in self.members:
            member.leave()


def share_and_leave(run, assignor):
    """group.two; returns how many partitions the first member had to give up after the second left."""
    run.expect("partitions", run.create(run.topic, GROUP_PARTITIONS), GROUP_PARTITIONS)
    group = Group(run, {"assignor": assignor}, {"assignor": assignor})
    group.shares(2, 2)
    run.facts["before"] = group.counts()
    survivor, leaver = group.members
    assigned = [survivor.assigned, leaver.assigned]
    run.facts["read_before"] = group.read(0)
    group.commit(25)
    assigned += [survivor.assigned, leaver.assigned]
    revoked = survivor.revoked
    leaver.leave()
    group.members = [survivor]
    group.shares(4)
    run.facts["after"] = group.counts()
    run.facts["read_after"] = group.read(25)
    run.facts["duplicates"] = group.duplicates()
    revoked = survivor.revoked - revoked
    assigned.append(survivor.assigned)
    group.leave()
    group.expect_no_duplicates("the two members had been given partitions %d and %d times when each had its share, %d and %d times "
                               "when all was read and committed, and the first %d times at the end" % tuple(assigned))
    return revoked


def group_two(run):
    share_and_leave(run, "range")


def group_cooperative(run):
    run.facts["survivor_revoked"] = share_and_leave(run, "cooperative-sticky")
    run.expect("partitions taken from the survivor", run.facts["survivor_revoked"], 0)


def group_static(run):
    run.expect("partitions", run.create(run.topic, GROUP_PARTITIONS), GROUP_PARTITIONS)
    group = Group(run, {"instance": "a"}, {"instance": "b"})
    group.shares(2, 2)
    run.facts["before"] = group.counts()
    first, other = group.members
    held, assigned = set(first.held), other.assigned
    first.stop()
    group.members[0] = run.library.join(run.topic, run.group, instance="a")
    group.shares(2, 2)
    run.facts["read"] = group.read(0)
    run.facts["same_partitions"] = group.members[0].held == held
    run.facts["rebalances_of_other"] = other.assigned - assigned
    run.facts["duplicates"] = group.duplicates()
    group.leave()
    run.expect("rebalances of the other", run.facts["rebalances_of_other"], 0)
    run.expect("the same partitions", run.facts["same_partitions"], True)


def read_as_member(run, n):
    """Has a new member read n records or more."""
    member, got = run.library.join(run.topic, run.group, limit=n), []

    def enough():
        got.extend(member.poll())
        return len(got) >= n
    run.until("%d records read" % n, enough)
    return member, got


def group_commit(run):
    run.create(run.topic, 1)
    run.produce(run.topic, 0, records(0, 100))
    member, got = read_as_member(run, 50)
    run.facts.update(first_offset=got[0].offset, count=50)
    member.commit({0: got[49].offset + 1})
    member.leave()
    run.ask("committed", run.library.committed, run.group, run.topic)
    run.expect("first offset and commit", [got[0].offset, run.facts.get("committed", 50)], [0, 50])


def group_resume(run):
    member, got = read_as_member(run, 50)
    member.leave()
    run.facts.update(first_offset=got[0].offset, count=len(got))
    run.expect("first offset and count", [got[0].offset, len(got)], [50, 50])


def group_unknown(run):
    run.create(run.topic, 1)
    run.facts.update(committed=-1, error="NONE")
    try:
        run.facts["committed"] = run.library.committed(run.group + "-unknown", run.topic)
    except Unsupported:
        raise
    except Exception as error:
        run.facts["error"] = run.name(error)


def admin_topics(run):
    run.library.list_topics()
    run.create(run.topic, 3)
    run.until("the topic in the list", lambda: run.topic in run.library.list_topics())
    run.facts["listed"] = True
    d = run.description  # another node need not know it yet
    run.facts["partitions"] = d.partitions
    if d.internal is not None:
        run.facts["internal"] = d.internal
    run.fact("deleted", run.library.delete_topic, run.topic)
    run.until("gone from the list", lambda: run.topic not in run.library.list_topics())
    run.facts["listed_after"] = False
    run.fact("delete_unknown", run.library.delete_topic, run.topic + "-unknown")
    run.fact("describe_unknown", run.library.describe_unknown, run.topic + "-unknown")


def admin_configs(run):
    library = run.library
    run.create(run.topic, 1, {"cleanup.policy": "compact"})

    def two():
        entries = library.describe_configs(run.topic)
        return {k: entries[k] for k in ("retention.ms", "cleanup.policy")}

    def shown():  # another broker may answer than the one that has shown the topic
        try:
            run.facts["before"] = two()
        except Exception as e:
            if run.name(e) != "UNKNOWN_TOPIC_OR_PARTITION":
                raise
            return False
        return True

    def altered():
        run.facts["after"] = two()
        return run.facts["after"]["retention.ms"]["value"] == "86400000"

    run.until("the topic's settings", shown)
    run.fact("altered", library.alter_config, run.topic, "retention.ms", "86400000")
    run.until("the altered value", altered)
    run.facts["other_kept"] = run.facts["after"]["cleanup.policy"]["value"] == "compact"
    run.fact("bad_key", library.alter_config, run.topic, "no.such.key", "1")
    run.fact("bad_value", library.alter_config, run.topic, "retention.ms", "abc")
    run.fact("unknown_topic", library.describe_configs, run.topic + "-unknown")
    run.fact("broker", library.describe_broker_configs)


def admin_partitions(run):
    if not run.library.creates_topics:
        raise Unsupported("no API to create partitions")
    run.create(run.topic, 2)
    run.fact("grown", run.library.create_partitions, run.topic, 4)
    if "grown" not in run.facts:
        raise Unsupported("no API to create partitions")
    run.facts["partitions"] = run.shown(run.topic, 4)
    run.fact("fewer", run.library.create_partitions, run.topic, 3)
    run.fact("same", run.library.create_partitions, run.topic, 4)
    run.fact("unknown_topic", run.library.create_partitions, run.topic + "-unknown", 4)


def admin_records(run):
    run.create(run.topic, 1)
    run.produce(run.topic, 0, records(0, 100))
    run.facts["low_watermark"] = run.library.delete_records(run.topic, 42)
    run.facts["deleted"] = "NONE"
    run.ask("earliest", run.library.earliest, run.topic)
    run.fact("beyond_end", run.library.delete_records, run.topic, 1000)
    run.ask("all_low_watermark", run.library.delete_records, run.topic, -1)
    run.fact("unknown_topic", run.library.delete_records, run.topic + "-unknown", 1)


def admin_groups(run):
    library = run.library
    library.list_groups()
    run.create(run.topic, GROUP_PARTITIONS)
    group = Group(run, {})
    group.shares(GROUP_PARTITIONS)
    run.facts["listed"] = run.group in library.list_groups()
    run.facts.update(library.describe_group(run.group))
    run.fact("delete_non_empty", library.delete_group, run.group)
    group.leave()
    run.until("an empty group", lambda: library.describe_group(run.group)["state"] == "EMPTY")
    run.facts["empty_state"] = "EMPTY"
    run.fact("deleted", library.delete_group, run.group)
    if "deleted" in run.facts:
        run.facts["listed_after"] = run.group in library.list_groups()
        run.fact("delete_unknown", library.delete_group, run.group + "-unknown")
    run.ask("describe_unknown", lambda: library.describe_group(run.group + "-unknown")["state"])


def admin_offsets(run):
    library = run.library
    run.create(run.topic, 1)
    rs, start = timed()
    rs[60].timestamp_ms = start + 500_000
    run.produce(run.topic, 0, rs)
    for name in "earliest", "latest", "max_timestamp":
        run.ask(name, getattr(library, name), run.topic)
    if library.has_timestamps:
        run.ask("timestamp", library.offset_at, run.topic, start + 41500)
    if not run.facts:
        library.earliest(run.topic)
    run.fact("altered", library.alter_offset, run.group, run.topic, 17)
    if "altered" in run.facts:
        run.ask("committed", library.committed, run.group, run.topic)
    run.fact("deleted", library.delete_offset, run.group, run.topic)
    if "deleted" in run.facts:
        run.ask("committed_after", library.committed, run.group, run.topic)
        run.fact("delete_unknown_group", library.delete_offset, run.group + "-unknown", run.topic)


def admin_cluster(run):
    run.facts.update(run.library.describe_cluster())


def admin_log_dirs(run):
    run.library.describe_log_dirs(run.topic)
    run.create(run.topic, 3)
    run.produce(run.topic, 0, records(0, 100))
    described = []

    def complete():  # Kafka makes them after its answer
        described[:] = run.library.describe_log_dirs(run.topic)
        return described[1] == 3

    run.until("all partitions in the directories", complete)
    dirs, partitions, size = described
    run.facts.update(error="NONE", dirs=dirs, partitions=partitions, size_positive=size > 0)


def admin_producers(run):
    run.create(run.topic, 1)
    run.produce(run.topic, 0, records(0, 10), idempotent=True, batch_records=10)
    producers = run.library.describe_producers(run.topic)
    run.facts["producers"] = len(producers)
    if len(producers) == 1:
        run.facts["epoch"], run.facts["last_sequence"] = producers[0]
    run.fact("unknown_topic", run.library.describe_producers, run.topic + "-unknown")


def admin_features(run):
    run.facts["finalized"], run.facts["supported"] = run.library.describe_features()


def admin_elect(run):
    run.create(run.topic, 1)
    for name, topic, unclean in (("preferred", run.topic, False), ("unclean", run.topic, True),
                                 ("unknown_topic", run.topic + "-unknown", False)):
        run.fact(name, run.library.elect_leader, topic, unclean)
    if not run.facts:
        raise Unsupported("no API to elect leaders")


def admin_reassign(run):
    run.create(run.topic, 1)
    run.ask("count", run.library.list_reassignments)
    if not run.facts:
        raise Unsupported("no API to reassign partitions")
    run.facts["error"] = "NONE"
    if not isinstance(run.facts["count"], int):
        run.facts["error"], run.facts["count"] = run.facts["count"], 0
    run.fact("cancel", run.library.reassign, run.topic, None)
    run.fact("unknown_broker", run.library.reassign, run.topic, [99])


def later_acls(run):
    run.facts["describe"] = run.error(run.library.describe_acls)
    run.fact("create", run.library.create_acl, run.topic)
    run.fact("delete", run.library.delete_acl, run.topic)


def later_scram(run):
    run.facts["describe_unknown"] = run.error(run.library.describe_scram, "nobody")
    run.fact("delete_unknown", run.library.delete_scram, "nobody")
    run.fact("upsert", run.library.upsert_scram, "u")


def later_tokens(run):
    run.facts["create"] = run.error(run.library.create_token)
    run.fact("describe", run.library.describe_tokens)


def later_quotas(run):
    run.facts["describe"] = run.error(run.library.quotas, run.topic)
    if run.facts["describe"] == "NONE":
        run.facts["count"] = len(run.library.quotas(run.topic))
    run.fact("altered", run.library.set_quota, run.topic, 1e6)
    if run.facts.get("altered") == "NONE":
        run.until("the quota", lambda: run.library.quotas(run.topic))
        run.facts["value"] = run.library.quotas(run.topic)[0]


def later_transactions(run):
    run.create(run.topic, 1)
    try:
        producer = run.library.transactional(run.topic)
        producer.init()
    except Unsupported:
        raise
    except Exception as error:
        run.facts["init"] = run.name(error)
        return
    run.facts["init"] = "NONE"
    for i, step in enumerate(("commit", "abort", "commit")):
        producer.write(run.topic, records(10 * i, 10 * i + 10))
        run.fact(step, getattr(producer, step))
        if run.facts[step] != "NONE":
            return
    producer.close()
    reader, visible, last = run.library.read(run.topic, "start", read_committed=True), 0, None
    while last != b"key-0029":
        for record in reader.next():
            visible, last = visible + 1, record.key
        if time.monotonic() > run.deadline:
            raise Failed("the last record is not visible; %d are" % visible)
    reader.close()
    run.facts["visible"] = visible
    run.expect("records visible", visible, 20)


CHECKS = {
    "topic.create": topic_create,
    "metadata": metadata,
    **{"produce." + codec: produce_with(codec=codec) for codec in ("none", "gzip", "snappy", "lz4", "zstd")},
    **{"produce.acks" + acks: produce_with(acks=acks) for acks in ("0", "1", "all")},
    "produce.headers": produce_headers,
    "produce.timestamps": produce_timestamps,
    "produce.toolarge": produce_too_large,
    "produce.idempotent": produce_idempotent,
    "consume.start": consume_from("start", 0),
    "consume.end": consume_end,
    "consume.offset": consume_from(42, 42),
    "consume.timestamp": consume_timestamp,
    "consume.maxbytes": consume_max_bytes,
    "group.two": group_two,
    "group.cooperative": group_cooperative,
    "group.static": group_static,
    "group.commit": group_commit,
    "group.resume": group_resume,
    "group.unknown": group_unknown,
    "admin.topics": admin_topics,
    "admin.configs": admin_configs,
    "admin.partitions": admin_partitions,
    "admin.records": admin_records,
    "admin.groups": admin_groups,
    "admin.offsets": admin_offsets,
    "admin.cluster": admin_cluster,
    "admin.logdirs": admin_log_dirs,
    "admin.producers": admin_producers,
    "admin.features": admin_features,
    "admin.elect": admin_elect,
    "admin.reassign": admin_reassign,
    "later.acls": later_acls,
    "later.scram": later_scram,
    "later.tokens": later_tokens,
    "later.quotas": later_quotas,
    "later.transactions": later_transactions,
}
