# The producer of "Apache Kafka: Building Intelligent Systems" (2015); bytes, as Python 3 wants them.
import sys
from kafka import KafkaClient, SimpleProducer

kafkaClient = KafkaClient(sys.argv[1])
kafkaProducer = SimpleProducer(kafkaClient)
print(kafkaProducer.send_messages("telematics", b"ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977"))
print(kafkaProducer.send_messages("telematics", b"ID-203216 60 5-15-2015 00:08:13 -74.006683,40.731781"))
