import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/** kafka-clients 0.10.0: no admin client, no headers, no idempotence, no search by time. */
final class Library {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4"};
    /** It gives up at the first error unless told otherwise; one request at a time keeps the order when it does not. */
    static final String[] PRODUCER = {"retries", "20", "max.in.flight.requests.per.connection", "1"};

    static void add(Map<String, Main.Check> checks) {
        checks.put("topic.create", r -> r.facts.put("partitions", autoCreate(r, r.topic).size()));
        checks.put("metadata", Library::metadata);
    }

    static String lacks(String check) {
        switch (check) {
            case "produce.zstd":
                return "zstd since 2.1";
            case "produce.headers":
            case "produce.idempotent":
                return "since 0.11";
            case "consume.timestamp":
                return "since 0.10.1";
            case "group.static":
                return "since 2.3";
            case "group.cooperative":
                return "since 2.4";
            default:
                return "no admin client before 0.11";
        }
    }

    /** The broker makes the topic when its metadata is asked for, with as many partitions as it likes. */
    static void create(Run r, String topic, int partitions) throws Exception {
        autoCreate(r, topic);
    }

    static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer, long ms) {
        return consumer.poll(ms);
    }

    static long committed(KafkaConsumer<String, String> consumer, TopicPartition p) {
        OffsetAndMetadata at = consumer.committed(p);
        return at == null ? -1 : at.offset();
    }

    private static void metadata(Run r) throws Exception {
        List<PartitionInfo> partitions = autoCreate(r, r.topic);
        r.facts.put("partitions", partitions.size());
        r.facts.put("leaders_known", true);
    }

    private static List<PartitionInfo> autoCreate(Run r, String topic) throws Exception {
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            while (true) {
                List<PartitionInfo> partitions = consumer.partitionsFor(topic);
                boolean led = partitions != null && !partitions.isEmpty();
                for (PartitionInfo p : led ? partitions : java.util.Collections.<PartitionInfo>emptyList()) {
                    led &= p.leader() != null;
                }
                if (led) {
                    return partitions;
                }
                r.waiting("leaders of " + topic);
            }
        }
    }
}
