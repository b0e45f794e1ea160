import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;

/** kafka-clients 2.8 and later. */
final class Library {
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    static final String[] PRODUCER = {};
    private static final String COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

    static void add(Map<String, Main.Check> checks) {
        checks.put("produce.headers", Library::headers);
        checks.put("produce.idempotent", Library::idempotent);
        checks.put("consume.timestamp", Library::timestamp);
        checks.put("group.cooperative", r -> r.facts.put("survivor_revoked", Groups.two(r, COOPERATIVE)));
        checks.put("group.static", Library::staticMember);
        AdminTopics.add(checks);
        AdminGroups.add(checks);
        AdminCluster.add(checks);
        Later.add(checks);
    }

    static String lacks(String check) {
        return "not in this version";
    }

    static void create(Run r, String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(r.config())) {
            create(r, admin, topic, partitions, Collections.emptyMap());
        }
    }

    static void create(Run r, Admin admin, String topic, int partitions, Map<String, String> configs) throws Exception {
        get(admin.createTopics(Arrays.asList(new NewTopic(topic, partitions, r.replicas).configs(configs))).all());
        while (true) {
            try {
                if (describe(admin, topic).partitions().size() == partitions) {
                    return;
                }
            } catch (java.util.concurrent.ExecutionException e) {
                r.expect(Run.name(e).equals("UNKNOWN_TOPIC_OR_PARTITION"), "describe " + topic + ": " + e);
            }
            r.waiting("metadata of " + topic);
        }
    }

    static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    /** The result has its method under another name in each generation. */
    @SuppressWarnings("unchecked")
    static TopicDescription describe(Admin admin, String topic) throws Exception {
        Object result = admin.describeTopics(Arrays.asList(topic));
        Object all = Reflect.first(result, "allTopicNames", "all");
        return get((KafkaFuture<Map<String, TopicDescription>>) all).get(topic);
    }

    static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer, long ms) {
        return consumer.poll(Duration.ofMillis(ms));
    }

    static long committed(KafkaConsumer<String, String> consumer, TopicPartition p) {
        OffsetAndMetadata at = consumer.committed(Collections.singleton(p)).get(p);
        return at == null ? -1 : at.offset();
    }

    private static void headers(Run r) throws Exception {
        create(r, r.topic, 1);
        try (KafkaProducer<String, String> producer = r.producer()) {
            ProducerRecord<String, String> with = Run.record(r.topic, 0, 0);
            with.headers().add("a", "1".getBytes()).add("a", "2".getBytes()).add("empty", new byte[0]).add("null", null)
                .add("b", "3".getBytes());
            producer.send(with).get(30, TimeUnit.SECONDS);
            producer.send(Run.record(r.topic, 0, 1)).get(30, TimeUnit.SECONDS);
        }
        List<Object> seen = new ArrayList<>();
        for (ConsumerRecord<String, String> record : r.readAll(2)) {
            List<Object> of = new ArrayList<>();
            for (Header h : record.headers()) {
                of.add(Arrays.asList(h.key(), h.value() == null ? null : new String(h.value())));
            }
            seen.add(of);
        }
        r.facts.put("headers", seen);
    }

    private static void idempotent(Run r) throws Exception {
        create(r, r.topic, 1);
        try (KafkaProducer<String, String> producer = r.producer("enable.idempotence", "true", "batch.size", "10000", "linger.ms", "5")) {
            r.write(producer, 0, 1000);
        }
        List<String> keys = new ArrayList<>();
        for (ConsumerRecord<String, String> record : r.readAll(1000)) {
            keys.add(record.key());
        }
        List<String> sorted = new ArrayList<>(keys);
        Collections.sort(sorted);
        r.facts.put("count", keys.size());
        r.facts.put("distinct", new HashSet<>(keys).size());
        r.facts.put("in_order", sorted.equals(keys));
    }

    /** Fills the topic with record i at the time that is returned, plus i seconds; record late at 500 s. */
    static long fillByTime(Run r, int late) throws Exception {
        long start = System.currentTimeMillis() - 1_000_000;
        try (KafkaProducer<String, String> producer = r.producer()) {
            for (int i = 0; i < 100; i++) {
                long time = start + (i == late ? 500 : i) * 1000L;
                producer.send(new ProducerRecord<>(r.topic, 0, time, Run.key(i), Run.value(i)));
            }
            producer.flush();
        }
        return start;
    }

    private static void timestamp(Run r) throws Exception {
        create(r, r.topic, 1);
        long start = fillByTime(r, -1);
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Collections.singletonMap(r.zero(), start + 41_500)).get(r.zero());
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seek(r.zero(), found.offset());
            Consume.note(r, r.read(consumer, 100 - (int) found.offset()));
            OffsetAndTimestamp none = consumer.offsetsForTimes(Collections.singletonMap(r.zero(), System.currentTimeMillis() + 3_600_000)).get(r.zero());
            r.facts.put("beyond_end", none == null ? -1 : none.offset());
        }
    }

    private static Member member(Run r, String instance) {
        return new Member(r, r.topic, "group.instance.id", instance, "session.timeout.ms", "30000",
            "partition.assignment.strategy", Groups.RANGE);
    }

    private static void staticMember(Run r) throws Exception {
        create(r, r.topic, Groups.PARTITIONS);
        Member a = member(r, "a");
        Member b = member(r, "b");
        r.facts.put("before", Groups.await(r, a, b));
        Set<TopicPartition> had = a.owned();
        int assignments = b.assignments();
        a.close();
        a = member(r, "a");
        Groups.await(r, a, b);
        r.facts.put("same_partitions", a.owned().equals(had));
        Groups.spread(r);
        Groups.awaitRead(r, 100, a, b);
        r.facts.put("rebalances_of_other", b.assignments() - assignments);
        List<String> read = new ArrayList<>(a.read());
        read.addAll(b.read());
        r.facts.put("read", new HashSet<>(read).size());
        r.facts.put("duplicates", read.size() - new HashSet<>(read).size());
        a.close();
        b.close();
    }

    static Map<String, String> configs(String... pairs) {
        Map<String, String> out = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            out.put(pairs[i], pairs[i + 1]);
        }
        return out;
    }
}
