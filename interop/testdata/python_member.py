# A member of a group: prints a line for every record until its standard input ends.
import sys, threading
from kafka import KafkaConsumer

consumer = KafkaConsumer(sys.argv[2], bootstrap_servers=sys.argv[1], group_id=sys.argv[3],
                         auto_offset_reset="earliest", client_id="python")
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set():
    for records in consumer.poll(timeout_ms=100).values():
        for record in records:
            print(record.value.decode(), flush=True)
consumer.close()
