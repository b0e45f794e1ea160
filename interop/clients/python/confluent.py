"""confluent-kafka: librdkafka's Producer, Consumer and AdminClient."""
import warnings

import confluent_kafka as ck
from confluent_kafka import admin as ca

import driver
from driver import Description, Failed, Record, Unsupported

SOURCES = {s.value: s.name for s in ca.ConfigSource}


def raise_error(error):
    if error is not None:
        raise ck.KafkaException(error)


class Reader:
    def __init__(self, library, topic, at, partition_bytes_max, read_committed):
        conf = {"group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 100,
                "isolation.level": "read_committed" if read_committed else "read_uncommitted"}
        if partition_bytes_max:
            conf["fetch.message.max.bytes"] = partition_bytes_max
        self.consumer = ck.Consumer(library.conf(**conf))
        offset = {"start": ck.OFFSET_BEGINNING, "end": ck.OFFSET_END}.get(at, at)
        self.consumer.assign([ck.TopicPartition(topic, 0, offset)])
        while at == "end":
            # The end of the partition is told when it is reached, which is when the position is known.
            message = self.consumer.poll(0.1)
            if message is not None and message.error() and message.error().code() == ck.KafkaError._PARTITION_EOF:
                break

    def next(self):
        out = []
        for message in self.consumer.consume(1000, 0.1):
            if message.error() is None:
                out.append(to_record(message))
            elif message.error().code() != ck.KafkaError._PARTITION_EOF:
                raise_error(message.error())
        return out

    def close(self):
        self.consumer.close()


def to_record(message):
    kind, timestamp = message.timestamp()
    return Record(message.key(), message.value(), message.headers() or [], timestamp, message.partition(), message.offset(),
                  kind == ck.TIMESTAMP_LOG_APPEND_TIME)


class Member(driver.Member):
    def __init__(self, library, topic, group, assignor, instance):
        self.library, self.topic = library, topic
        self.cooperative = assignor == "cooperative-sticky"
        self.conf = {"group.id": group, "partition.assignment.strategy": assignor, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 100,
                     "log_level": 7, "debug": "cgrp"}  # on standard error, which is kept when the check fails
        if instance:
            self.conf["group.instance.id"] = instance
        super().__init__()

    def open(self):
        self.consumer = ck.Consumer(self.library.conf(**self.conf))
        self.consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, _, partitions):
        self.on_assigned([p.partition for p in partitions], self.cooperative)

    def _revoked(self, _, partitions):
        self.on_revoked([p.partition for p in partitions])

    def poll_once(self):
        out = []
        for message in self.consumer.consume(100, 0.1):
            raise_error(message.error())
            out.append(to_record(message))
        return out

    def commit_once(self, offsets):
        # That some were refused is no exception.
        for p in self.consumer.commit(offsets=[ck.TopicPartition(self.topic, p, o) for p, o in offsets.items()], asynchronous=False):
            raise_error(p.error)

    def close_once(self):
        self.consumer.close()


class Transactional:
    def __init__(self, library, transactional_id):
        self.producer = ck.Producer(library.conf(**{"transactional.id": transactional_id}))

    def init(self):
        self.producer.init_transactions(8)

    def write(self, topic, records):
        self.producer.begin_transaction()
        for r in records:
            self.producer.produce(topic, r.value, r.key, r.partition)

    def commit(self):
        self.producer.commit_transaction(5)

    def abort(self):
        self.producer.flush(5)
        self.producer.abort_transaction(5)

    def close(self):
        pass


class Library(driver.Library):
    client = package = "confluent-kafka"

    def __init__(self, params):
        super().__init__(params)
        if params:
            self.admin = ca.AdminClient(self.conf())

    def version(self):
        return "%s (librdkafka %s)" % (super().version(), ck.libversion()[0])

    def conf(self, **more):
        return {"bootstrap.servers": self.params["bootstrap"], "log_level": 3, "broker.address.family": "v4",
                "allow.auto.create.topics": False, "topic.metadata.refresh.fast.interval.ms": 50, **more}

    def error_code(self, error):
        inner = error.args[0] if isinstance(error, ck.KafkaException) else error
        if not isinstance(inner, ck.KafkaError):
            return None
        # Codes below -1 are librdkafka's own.
        return inner.code() if inner.code() >= -1 else None

    def own_error(self, error):
        return error.args[0].name() if isinstance(error, ck.KafkaException) else super().own_error(error)

    def one(self, futures):
        return next(iter(futures.values())).result(10)

    def create_topic(self, topic, partitions, replicas=1, configs=None):
        self.one(self.admin.create_topics([ca.NewTopic(topic, partitions, replicas, config=configs or {})]))

    def describe(self, topic):
        cluster = self.admin.describe_cluster().result(10)
        d = self.one(self.admin.describe_topics(ck.TopicCollection([topic])))
        return Description(len(cluster.nodes), cluster.controller is not None, len(d.partitions),
                           all(p.leader is not None for p in d.partitions), d.is_internal)

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, batch_records=0):
        conf = {"compression.type": codec, "acks": acks, "enable.idempotence": idempotent, "linger.ms": 5}
        if batch_records:
            conf["batch.num.messages"] = batch_records
        producer, offsets, errors = ck.Producer(self.conf(**conf)), [-1] * len(records), []

        def delivered(i):
            def callback(error, message):
                if error is not None:
                    errors.append(error)
                elif acks != "0" and message.offset() is not None:
                    offsets[i] = message.offset()
            return callback

        for i, r in enumerate(records):
            producer.produce(topic, value=r.value, key=r.key, partition=r.partition, on_delivery=delivered(i),
                             timestamp=r.timestamp_ms or 0, headers=r.headers)
        if producer.flush(15):
            raise Failed("not all records were delivered")
        if errors:
            raise_error(errors[0])
        return offsets

    def read(self, topic, at, partition_bytes_max=None, read_committed=False):
        return Reader(self, topic, at, partition_bytes_max, read_committed)

    def _offset(self, topic, spec):
        return self.one(self.admin.list_offsets({ck.TopicPartition(topic, 0): spec})).offset

    def offset_at(self, topic, timestamp_ms):
        return self._offset(topic, ca.OffsetSpec.for_timestamp(timestamp_ms))

    def join(self, topic, group, assignor="range", instance=None, limit=None):
        return Member(self, topic, group, assignor, instance)

    def committed(self, group, topic):
        request = [ck.ConsumerGroupTopicPartitions(group, [ck.TopicPartition(topic, 0)])]
        partition = self.one(self.admin.list_consumer_group_offsets(request)).topic_partitions[0]
        raise_error(partition.error)
        return -1 if partition.offset == ck.OFFSET_INVALID else partition.offset

    def list_topics(self):
        return set(self.admin.list_topics(timeout=10).topics)

    def delete_topic(self, topic):
        self.one(self.admin.delete_topics([topic]))

    def _configs(self, kind, name):
        return self.one(self.admin.describe_configs([ca.ConfigResource(kind, name)]))

    def describe_configs(self, topic):
        return {name: {"value": e.value, "source": SOURCES[e.source], "read_only": e.is_read_only, "sensitive": e.is_sensitive,
                       "synonyms": ["%s=%s@%s" % (s.name, s.value, SOURCES[s.source]) for s in e.synonyms.values()]}
                for name, e in self._configs(ca.RESOURCE_TOPIC, topic).items()}

    def describe_broker_configs(self):
        self._configs(ca.RESOURCE_BROKER, str(self.admin.describe_cluster().result(10).nodes[0].id))

    def alter_config(self, topic, key, value):
        entry = ca.ConfigEntry(key, value, incremental_operation=ca.AlterConfigOpType.SET)
        self.one(self.admin.incremental_alter_configs([ca.ConfigResource(ca.RESOURCE_TOPIC, topic, incremental_configs=[entry])]))

    def create_partitions(self, topic, total):
        self.one(self.admin.create_partitions([ca.NewPartitions(topic, total)]))

    def delete_records(self, topic, before):
        offset = ck.OFFSET_END if before == -1 else before
        return self.one(self.admin.delete_records([ck.TopicPartition(topic, 0, offset)])).low_watermark

    def list_groups(self):
        return {g.group_id for g in self.admin.list_consumer_groups().result(10).valid}

    def describe_group(self, group):
        g = self.one(self.admin.describe_consumer_groups([group]))
        return {"state": g.state.name.replace("UNKOWN", "UNKNOWN"), "members": len(g.members), "protocol": g.partition_assignor}

    def delete_group(self, group):
        self.one(self.admin.delete_consumer_groups([group]))

    def earliest(self, topic):
        return self._offset(topic, ca.OffsetSpec.earliest())

    def latest(self, topic):
        return self._offset(topic, ca.OffsetSpec.latest())

    def max_timestamp(self, topic):
        return self._offset(topic, ca.OffsetSpec.max_timestamp())

    def alter_offset(self, group, topic, offset):
        request = [ck.ConsumerGroupTopicPartitions(group, [ck.TopicPartition(topic, 0, offset)])]
        raise_error(self.one(self.admin.alter_consumer_group_offsets(request)).topic_partitions[0].error)

    def describe_cluster(self):
        c = self.admin.describe_cluster(include_authorized_operations=True).result(10)
        return {"brokers": len(c.nodes), "controller_known": c.controller is not None, "cluster_id_known": bool(c.cluster_id),
                "authorized_operations": sorted(o.name for o in c.authorized_operations or [])}

    def elect_leader(self, topic, unclean):
        kind = ck.ElectionType.UNCLEAN if unclean else ck.ElectionType.PREFERRED
        for error in self.admin.elect_leaders(kind, [ck.TopicPartition(topic, 0)]).result(10).values():
            raise_error(error)

    def describe_acls(self):
        self.admin.describe_acls(ca.AclBindingFilter(
            ca.ResourceType.ANY, None, ca.ResourcePatternType.ANY, None, None, ca.AclOperation.ANY, ca.AclPermissionType.ANY)).result(10)

    def create_acl(self, topic):
        self.one(self.admin.create_acls([ca.AclBinding(
            ca.ResourceType.TOPIC, topic, ca.ResourcePatternType.LITERAL, "User:a", "*", ca.AclOperation.READ, ca.AclPermissionType.ALLOW)]))

    def delete_acl(self, topic):
        self.one(self.admin.delete_acls([ca.AclBindingFilter(
            ca.ResourceType.TOPIC, topic, ca.ResourcePatternType.LITERAL, "User:a", "*", ca.AclOperation.READ, ca.AclPermissionType.ALLOW)]))

    def describe_scram(self, user):
        self.one(self.admin.describe_user_scram_credentials([user]))

    def delete_scram(self, user):
        self.one(self.admin.alter_user_scram_credentials([ca.UserScramCredentialDeletion(user, ca.ScramMechanism.SCRAM_SHA_256)]))

    def upsert_scram(self, user):
        info = ca.ScramCredentialInfo(ca.ScramMechanism.SCRAM_SHA_256, 8192)
        self.one(self.admin.alter_user_scram_credentials([ca.UserScramCredentialUpsertion(user, info, b"secret")]))

    def transactional(self, transactional_id):
        return Transactional(self, transactional_id)


warnings.simplefilter("ignore")
if __name__ == "__main__":
    driver.main(Library)
