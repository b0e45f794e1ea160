# The consumer of the article: a SimpleConsumer of group "analytics". It ends after the number of messages that it
# is told, and commits what it has read.
import sys
from kafka import KafkaClient, SimpleConsumer

kafkaClient = KafkaClient(sys.argv[1])
kafkaConsumer = SimpleConsumer(kafkaClient, "analytics", "telematics")
left = int(sys.argv[2])
for message in kafkaConsumer:
    print(message.offset, message.message.value.decode())
    left -= 1
    if left == 0:
        break
kafkaConsumer.commit()
