import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** Checks of producing that every generation has. */
final class Produce {
    static void add(Map<String, Main.Check> checks) {
        for (String codec : Library.CODECS) {
            checks.put("produce." + codec, r -> readBack(r, "compression.type", codec, "linger.ms", "50"));
        }
        checks.put("produce.acks0", r -> readBack(r, "acks", "0"));
        checks.put("produce.acks1", r -> readBack(r, "acks", "1"));
        checks.put("produce.acksall", r -> readBack(r, "acks", "all"));
        checks.put("produce.timestamps", Produce::timestamps);
        checks.put("produce.toolarge", Produce::tooLarge);
    }

    private static void readBack(Run r, String... config) throws Exception {
        Library.create(r, r.topic, 1);
        try (KafkaProducer<String, String> producer = r.producer(config)) {
            r.write(producer, 0, 100);
        }
        List<ConsumerRecord<String, String>> records = r.readAll(100);
        r.facts.put("base_offset", records.get(0).offset());
        r.facts.put("count", records.size());
        r.facts.put("sha256", Run.sha256(records));
    }

    private static void timestamps(Run r) throws Exception {
        String logAppend = r.params.get("topic_log_append");
        if (logAppend == null) {
            throw new NotOffered("no topic with message.timestamp.type=LogAppendTime");
        }
        Library.create(r, r.topic, 1);
        long hourAgo = System.currentTimeMillis() - 3_600_000;
        ConsumerRecord<String, String> created = stamped(r, r.topic, hourAgo);
        r.facts.put("create_time_kept", created.timestamp() == hourAgo);
        r.facts.put("create_type", created.timestampType().name());
        ConsumerRecord<String, String> appended = stamped(r, logAppend, hourAgo);
        r.facts.put("log_append_time_later", appended.timestamp() > hourAgo + 1_800_000);
        r.facts.put("log_append_type", appended.timestampType().name());
    }

    private static ConsumerRecord<String, String> stamped(Run r, String topic, long time) throws Exception {
        RecordMetadata at;
        try (KafkaProducer<String, String> producer = r.producer()) {
            at = producer.send(new ProducerRecord<>(topic, 0, time, Run.key(0), Run.value(0))).get(30, TimeUnit.SECONDS);
        }
        return Consume.at(r, topic, at.offset());
    }

    private static void tooLarge(Run r) throws Exception {
        String small = r.params.get("topic_small");
        StringBuilder large = new StringBuilder();
        while (large.length() < 20_000) {
            large.append(Run.value(0));
        }
        try (KafkaProducer<String, String> producer = r.producer()) {
            r.error("error", () -> send(producer, small, large.toString()).get(30, TimeUnit.SECONDS));
            r.error("small", () -> send(producer, small, Run.value(0)).get(30, TimeUnit.SECONDS));
        }
    }

    private static Future<RecordMetadata> send(KafkaProducer<String, String> producer, String topic, String value) {
        return producer.send(new ProducerRecord<>(topic, 0, Run.key(0), value));
    }
}
