import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Checks of consuming without a group that every generation has. */
final class Consume {
    static void add(Map<String, Main.Check> checks) {
        checks.put("consume.start", Consume::start);
        checks.put("consume.end", Consume::end);
        checks.put("consume.offset", Consume::offset);
        checks.put("consume.maxbytes", Consume::maxBytes);
    }

    /** The record at an offset of partition 0. */
    static ConsumerRecord<String, String> at(Run r, String topic, long offset) throws Exception {
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            TopicPartition p = new TopicPartition(topic, 0);
            consumer.assign(Arrays.asList(p));
            consumer.seek(p, offset);
            return r.read(consumer, 1).get(0);
        }
    }

    static void note(Run r, List<ConsumerRecord<String, String>> records) {
        r.facts.put("first_offset", records.get(0).offset());
        r.facts.put("count", records.size());
    }

    private static void start(Run r) throws Exception {
        r.filled();
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seekToBeginning(Arrays.asList(r.zero()));
            note(r, r.read(consumer, 100));
        }
    }

    private static void end(Run r) throws Exception {
        r.filled();
        try (KafkaConsumer<String, String> consumer = r.consumer(); KafkaProducer<String, String> producer = r.producer()) {
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seekToEnd(Arrays.asList(r.zero()));
            consumer.position(r.zero());
            r.write(producer, 100, 110);
            note(r, r.read(consumer, 10));
        }
    }

    private static void offset(Run r) throws Exception {
        r.filled();
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seek(r.zero(), 42);
            note(r, r.read(consumer, 58));
        }
    }

    private static void maxBytes(Run r) throws Exception {
        Library.create(r, r.topic, 1);
        StringBuilder large = new StringBuilder();
        while (large.length() < 10_000) {
            large.append(Run.value(0));
        }
        try (KafkaProducer<String, String> producer = r.producer()) {
            for (int i = 0; i < 5; i++) {
                producer.send(new ProducerRecord<>(r.topic, 0, Run.key(i), large.toString())).get(30, TimeUnit.SECONDS);
            }
        }
        try (KafkaConsumer<String, String> consumer = r.consumer("max.partition.fetch.bytes", "1000")) {
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seek(r.zero(), 0);
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            // Before KIP-74 a client could not get at a record above its limit, and did not always say so.
            for (int polls = 0; records.size() < 5 && polls < 50; polls++) {
                for (ConsumerRecord<String, String> record : Library.poll(consumer, 200)) {
                    records.add(record);
                }
            }
            r.facts.put("count", records.size());
            if (!records.isEmpty()) {
                r.facts.put("first_offset", records.get(0).offset());
            }
        } catch (org.apache.kafka.common.errors.RecordTooLargeException e) {
            r.facts.put("error", "client:RecordTooLargeException");
        }
    }
}
