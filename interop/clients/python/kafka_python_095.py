"""kafka-python 0.9.5 of 2015: KafkaClient, its producers, and SimpleConsumer. install.sh makes it importable."""
import logging
import os
import sys

sys.path.insert(0, os.path.join(os.environ["LOGBAHN_INTEROP"], "python095"))

import kafka
from kafka import common
from kafka.protocol import CODEC_GZIP, CODEC_NONE, CODEC_SNAPPY, create_message_set

import driver
from driver import Description, Record, Unsupported

CODECS = {"none": CODEC_NONE, "gzip": CODEC_GZIP, "snappy": CODEC_SNAPPY}
ACKS = {"0": 0, "1": 1, "all": -1}


class Consumer:
    """A SimpleConsumer of partition 0, as a reader and as what comes nearest to a member: its group has a name under
    which offsets are stored, and no members."""

    def __init__(self, library, topic, group=None, **conf):
        self.client, self.topic, self.group = library.new_client(), topic, group
        self.simple = kafka.SimpleConsumer(self.client, group, topic, auto_commit=False, partitions=[0],
                                           auto_offset_reset="smallest", **conf)

    def next(self):
        return [Record(m.message.key, m.message.value, offset=m.offset)
                for m in self.simple.get_messages(count=200, block=True, timeout=0.1)]

    def poll(self):
        return self.next()

    def commit(self, offsets):
        requests = [common.OffsetCommitRequest(self.topic.encode(), p, o, None) for p, o in offsets.items()]
        self.client.send_offset_commit_request(self.group.encode(), requests)

    def close(self):
        self.client.close()

    leave = stop = close


class Library(driver.Library):
    client = "kafka-python 0.9.5"
    creates_topics = has_headers = has_timestamps = has_groups = False

    def __init__(self, params):
        super().__init__(params)
        if params:
            self.kafka = self.new_client()

    def version(self):
        return kafka.__version__

    def new_client(self):
        return kafka.KafkaClient(self.params["bootstrap"], timeout=10)

    def error_code(self, error):
        return getattr(error, "errno", None) if isinstance(error, common.BrokerResponseError) else None

    def create_topic(self, topic, partitions, replicas=1, configs=None):
        try:
            self.kafka.load_metadata_for_topics(topic)
        except (common.LeaderNotAvailableError, common.UnknownTopicOrPartitionError):
            pass  # Kafka's first answer, of old and of today, for a topic that it makes

    def describe(self, topic):
        self.kafka.load_metadata_for_topics(topic)
        leaders = self.kafka.topic_partitions[topic.encode()].values()
        return Description(len(self.kafka.brokers), None, len(leaders), all(p.leader >= 0 for p in leaders))

    def describe_unknown(self, topic):
        raise Unsupported("asking for a topic creates it")

    def produce(self, topic, records, codec="none", acks="all", idempotent=False, batch_records=0):
        if codec not in CODECS:
            raise Unsupported("no codec " + codec)
        if idempotent:
            raise Unsupported("no idempotent producer")
        partition = records[0].partition
        messages = create_message_set([(r.value, r.key) for r in records], CODECS[codec], None)
        request = common.ProduceRequest(topic.encode(), partition, messages)
        responses = self.kafka.send_produce_request([request], acks=ACKS[acks], timeout=5000)
        if acks == "0":
            return [-1] * len(records)
        return [responses[0].offset + i for i in range(len(records))]

    def read(self, topic, at, partition_bytes_max=None, read_committed=False):
        conf = {}
        if partition_bytes_max:
            conf = {"fetch_size_bytes": partition_bytes_max, "buffer_size": partition_bytes_max}
        consumer = Consumer(self, topic, **conf)
        whence = {"start": 0, "end": 2}.get(at)
        consumer.simple.seek(0 if whence is not None else at, whence, 0)
        return consumer

    def offset_at(self, topic, timestamp_ms):
        raise Unsupported("messages of magic 0 have no timestamps")

    def join(self, topic, group, assignor="range", instance=None, limit=None):
        return Consumer(self, topic, group)

    def committed(self, group, topic):
        request = common.OffsetFetchRequest(topic.encode(), 0)
        return self.kafka.send_offset_fetch_request(group.encode(), [request])[0].offset

    def _offset(self, topic, at):
        return self.kafka.send_offset_request([common.OffsetRequest(topic.encode(), 0, at, 1)])[0].offsets[0]

    def earliest(self, topic):
        return self._offset(topic, -2)

    def latest(self, topic):
        return self._offset(topic, -1)

    def alter_offset(self, group, topic, offset):
        self.kafka.send_offset_commit_request(group.encode(), [common.OffsetCommitRequest(topic.encode(), 0, offset, None)])


logging.disable(logging.CRITICAL)
if __name__ == "__main__":
    driver.main(Library)
