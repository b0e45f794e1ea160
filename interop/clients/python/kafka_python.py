"""kafka-python of today: KafkaProducer, KafkaConsumer and KafkaAdminClient."""
import logging
import os
import re

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import admin as ka
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

import driver
from driver import Description, Record


def to_record(r):
    return Record(r.key, r.value, r.headers, r.timestamp, r.partition, r.offset, r.timestamp_type == 1)


class Reader:
    def __init__(self, library, topic, at, partition_bytes_max, read_committed):
        conf = {"isolation_level": "read_committed" if read_committed else "read_uncommitted"}
        if partition_bytes_max:
            conf["max_partition_fetch_bytes"] = partition_bytes_max
        partition = TopicPartition(topic, 0)
        self.consumer = library.consumer(**conf)
        self.consumer.assign([partition])
        if at == "start":
            self.consumer.seek_to_beginning(partition)
        elif at == "end":
            self.consumer.seek_to_end(partition)
        else:
            self.consumer.seek(partition, at)
        self.consumer.position(partition)

    def next(self):
        return [to_record(r) for rs in self.consumer.poll(timeout_ms=100).values() for r in rs]

    def close(self):
        self.consumer.close()


class Member(driver.Member, ConsumerRebalanceListener):
    def __init__(self, library, topic, group, assignor, instance):
        self.library, self.topic = library, topic
        self.cooperative = assignor == "cooperative-sticky"
        self.conf = {"group_id": group, "group_instance_id": instance, "enable_auto_commit": False, "auto_offset_reset": "earliest",
                     "heartbeat_interval_ms": 200,
                     "partition_assignment_strategy": [CooperativeStickyAssignor if self.cooperative else RangePartitionAssignor]}
        super().__init__()

    def open(self):
        self.consumer = self.library.consumer(**self.conf)
        self.consumer.subscribe([self.topic], listener=self)

    def on_partitions_assigned(self, assigned):
        self.on_assigned([p.partition for p in assigned], self.cooperative)

    def on_partitions_revoked(self, revoked):
        self.on_revoked([p.partition for p in revoked])

    on_partitions_lost = on_partitions_revoked

    def poll_once(self):
        # A poll that ends between the answers to JoinGroup and SyncGroup loses the assignment for good (3.0.12): no
        # short ones.
        return [to_record(r) for rs in self.consumer.poll(timeout_ms=1500).values() for r in rs]

    def commit_once(self, offsets):
        self.consumer.commit({TopicPartition(self.topic, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()})

    def close_once(self):
        self.consumer.close(autocommit=False)


class Transactional:
    def __init__(self, library, transactional_id):
        self.producer = library.producer(transactional_id=transactional_id, acks="all", max_block_ms=8000)

    def init(self):
        self.producer.init_transactions()

    def write(self, topic, records):
        self.producer.begin_transaction()
        for r in records:
            self.producer.send(topic, r.value, r.key, partition=r.partition)

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.flush()
        self.producer.abort_transaction()

    def close(self):
        self.producer.close()


class Library(driver.Library):
    client = package = "kafka-python"
    null_headers = False

    def __init__(self, params):
        super().__init__(params)
        if params:
            self.admin = ka.KafkaAdminClient(bootstrap_servers=params["bootstrap"], request_timeout_ms=10000)

    def consumer(self, **conf):
        return KafkaConsumer(bootstrap_servers=self.params["bootstrap"], allow_auto_create_topics=False, fetch_max_wait_ms=100,
                             metrics_enabled=False, **conf)

    def producer(self, **conf):
        return KafkaProducer(bootstrap_servers=self.params["bootstrap"], allow_auto_create_topics=False, metrics_enabled=False, **conf)

    def error_code(self, error):
        return getattr(error, "errno", None)

    def create_topic(self, topic, partitions, replicas=1, configs=None):
        self.admin.create_topics([ka.NewTopic(topic, partitions, replicas, topic_configs=configs or {})])

    def describe(self, topic):
        return description(self.admin.describe_cluster(), self.admin.describe_topics([topic])[0])

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, batch_records=0):
        size = {"batch_size": batch_records * 220} if batch_records else {}
        producer = self.producer(compression_type=None if codec == "none" else codec, acks=acks if acks == "all" else int(acks),
                                 enable_idempotence=idempotent, linger_ms=5, **size)
        futures = [producer.send(topic, r.value, r.key, r.headers, r.partition, r.timestamp_ms) for r in records]
        offsets = [f.get(timeout=15).offset for f in futures]
        producer.close()
        return [-1] * len(records) if acks == "0" else offsets

    def read(self, topic, at, partition_bytes_max=None, read_committed=False):
        return Reader(self, topic, at, partition_bytes_max, read_committed)

    def _offset(self, topic, spec):
        partition = TopicPartition(topic, 0)
        return self.admin.list_partition_offsets({partition: spec})[partition].offset

    def offset_at(self, topic, timestamp_ms):
        return self._offset(topic, ka.OffsetTimestamp(timestamp_ms))

    def join(self, topic, group, assignor="range", instance=None, limit=None):
        return Member(self, topic, group, assignor, instance)

    def committed(self, group, topic):
        partition = TopicPartition(topic, 0)
        found = self.admin.list_group_offsets({group: [partition]})[group].get(partition)
        return -1 if found is None else found.offset

    def list_topics(self):
        return set(self.admin.list_topics())

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def _configs(self, kind, name):
        return self.admin.describe_configs([ka.ConfigResource(kind, name)], include_synonyms=True, config_filter="all")[kind.lower()][name]

    def describe_configs(self, topic):
        return {name: {"value": e["value"], "source": e["config_source"], "read_only": e["read_only"], "sensitive": e["is_sensitive"],
                       "type": e["config_type"],
                       "synonyms": ["%s=%s@%s" % (s["name"], s["value"], s.get("source", s.get("config_source"))) for s in e["synonyms"]]}
                for name, e in self._configs("TOPIC", topic).items()}

    def describe_broker_configs(self):
        self._configs("BROKER", str(self.admin.describe_cluster()["brokers"][0]["broker_id"]))

    def alter_config(self, topic, key, value):
        raise_result(self.admin.alter_configs([ka.ConfigResource("TOPIC", topic, {key: value})], raise_on_unknown=False)["topic"][topic])

    def create_partitions(self, topic, total):
        self.admin.create_partitions({topic: total})

    def delete_records(self, topic, before):
        partition = TopicPartition(topic, 0)
        return self.admin.delete_records({partition: before}, timeout_ms=5000)[partition]["low_watermark"]

    def list_groups(self):
        return {g["group_id"] for g in self.admin.list_groups()}

    def describe_group(self, group):
        g = self.admin.describe_groups([group])[group]
        if g.get("error"):
            raise_result(g["error"])
        return {"state": g["group_state"].upper(), "members": len(g["members"]), "protocol_type": g["protocol_type"],
                "protocol": g["protocol_data"]}

    def delete_group(self, group):
        raise_result(self.admin.delete_groups([group])[group])

    def earliest(self, topic):
        return self._offset(topic, ka.OffsetSpec.EARLIEST)

    def latest(self, topic):
        return self._offset(topic, ka.OffsetSpec.LATEST)

    def max_timestamp(self, topic):
        return self._offset(topic, ka.OffsetSpec.MAX_TIMESTAMP)

    def alter_offset(self, group, topic, offset):
        partition = TopicPartition(topic, 0)
        raise_result(self.admin.alter_group_offsets(group, {partition: OffsetAndMetadata(offset, "", -1)})[partition])

    def delete_offset(self, group, topic):
        partition = TopicPartition(topic, 0)
        raise_result(self.admin.delete_group_offsets(group, [partition])[partition])

    def describe_cluster(self):
        c = self.admin.describe_cluster()
        return {"brokers": len(c["brokers"]), "controller_known": c["controller_id"] >= 0, "cluster_id_known": bool(c["cluster_id"]),
                "authorized_operations": sorted(c["authorized_operations"] or [])}

    def describe_log_dirs(self, topic):
        dirs = self.admin.describe_log_dirs({topic: [0, 1, 2]})[0]["log_dirs"]
        for d in dirs:
            raise_code(d["error_code"])
        partitions = [p for d in dirs for t in d["topics"] if t["name"] == topic for p in t["partitions"]]
        return len(dirs), len(partitions), sum(p["partition_size"] for p in partitions)

    def describe_producers(self, topic):
        partition = TopicPartition(topic, 0)
        return [(p.producer_epoch, p.last_sequence) for p in self.admin.describe_producers([partition])[partition].active_producers]

    def describe_features(self):
        features = self.admin.describe_features()
        return tuple({name: list(f[kind]) for name, f in features.items() if kind in f} for kind in ("finalized", "supported"))

    def elect_leader(self, topic, unclean):
        response = self.admin.elect_leaders(1 if unclean else 0, {topic: [0]}, timeout_ms=5000, raise_errors=False)
        raise_code(response.error_code)
        raise_code(response.replica_election_results[0].partition_result[0].error_code)

    def list_reassignments(self):
        return len(self.admin.list_partition_reassignments())

    def reassign(self, topic, brokers):
        partition = TopicPartition(topic, 0)
        raise_result(self.admin.alter_partition_reassignments({partition: brokers})[partition])

    def describe_acls(self):
        self.admin.describe_acls(ka.ACLFilter(
            principal=None, host=None, operation=ka.ACLOperation.ANY, permission_type=ka.ACLPermissionType.ANY,
            resource_pattern=ka.ResourcePatternFilter(ka.ResourceType.ANY, None, ka.ACLResourcePatternType.ANY)))

    def create_acl(self, topic):
        raise_result(next(iter(self.admin.create_acls([ka.ACL(
            principal="User:a", host="*", operation=ka.ACLOperation.READ, permission_type=ka.ACLPermissionType.ALLOW,
            resource_pattern=ka.ResourcePattern(ka.ResourceType.TOPIC, topic, ka.ACLResourcePatternType.LITERAL))])["failed"]), None))

    def delete_acl(self, topic):
        raise_result(self.admin.delete_acls([ka.ACLFilter(
            principal="User:a", host="*", operation=ka.ACLOperation.READ, permission_type=ka.ACLPermissionType.ALLOW,
            resource_pattern=ka.ResourcePatternFilter(ka.ResourceType.TOPIC, topic, ka.ACLResourcePatternType.LITERAL))])[0][2])

    def describe_scram(self, user):
        raise_result(self.admin.describe_user_scram_credentials([user])[user]["error"])

    def delete_scram(self, user):
        raise_result(self.admin.alter_user_scram_credentials(
            [ka.UserScramCredentialDeletion(user, ka.ScramMechanism.SCRAM_SHA_256)])[user])

    def upsert_scram(self, user):
        raise_result(self.admin.alter_user_scram_credentials(
            [ka.UserScramCredentialUpsertion(user, ka.ScramMechanism.SCRAM_SHA_256, "secret", iterations=8192)])[user])

    def transactional(self, transactional_id):
        return Transactional(self, transactional_id)


def description(cluster, topic):
    raise_code(topic["error_code"])
    partitions = topic["partitions"]
    return Description(len(cluster["brokers"]), cluster["controller_id"] >= 0, len(partitions),
                       all(p["leader_id"] >= 0 for p in partitions), topic["is_internal"])


def raise_code(code):
    if code:
        raise kafka.errors.for_code(code)


def raise_result(result):
    """Raises what the admin client put into a result: an error class, its name, "[Error code] text", or text alone."""
    if isinstance(result, type):
        result = result.__name__
    if result in (None, "OK", "NoError", ""):
        return
    numbered = re.match(r"\[Error (\d+)\]", str(result))
    if numbered:
        raise_code(int(numbered[1]))
    raise getattr(kafka.errors, str(result), kafka.errors.KafkaError)(str(result))


if os.environ.get("DRIVER_LOG"):
    logging.basicConfig(level=logging.DEBUG, format="%(relativeCreated)d %(threadName)s %(name)s %(message)s")
else:
    logging.disable(logging.CRITICAL)
if __name__ == "__main__":
    driver.main(Library)
