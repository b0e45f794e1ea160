# Today's kafka-python: produce with every codec it has, and consume in a group that commits.
import sys
from kafka import KafkaProducer, KafkaConsumer

addr, topic, codecs = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
for codec in codecs:
    producer = KafkaProducer(bootstrap_servers=addr, compression_type=None if codec == "none" else codec, acks="all")
    for i in range(10):
        meta = producer.send(topic, key=b"k%d" % i, value=("%s-%d" % (codec, i)).encode(),
                             headers=[("codec", codec.encode())]).get(timeout=20)
    producer.close()

def read(n):
    consumer = KafkaConsumer(topic, bootstrap_servers=addr, group_id="python", auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=20000)
    got = []
    for message in consumer:
        got.append(message.value.decode())
        if len(got) == n:
            break
    consumer.commit()
    consumer.close()
    return got

half = 10 * len(codecs) // 2
for value in read(half) + read(10 * len(codecs) - half):
    print(value)
