import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The Java client at work while its cluster is broken. ../workload/doc.go says what it does and reports.
 *
 * <p>Chaos NAME BOOTSTRAP TOPIC PARTITIONS RATE PATIENCE_MS REQUEST_TIMEOUT_MS UNDER_WAY_MAX KEY_BYTES
 */
public final class Chaos {
    private static final Duration COMMIT_EVERY = Duration.ofSeconds(1);
    private static final Duration COMMIT_TIMEOUT = Duration.ofSeconds(5);
    private static final int MEMBERSHIP_MIN_MS = 15_000;
    private static final int MEMBERSHIP_MAX_MS = 60_000;

    private final String name;
    private final String bootstrap;
    private final String topic;
    private final int partitions;
    private final int rate;
    private final String patienceMs;
    private final String requestTimeoutMs;
    private final int underWayMax;
    private final String key;
    private volatile boolean stopping;
    private volatile boolean ending;

    private Chaos(String[] args) {
        name = args[0];
        bootstrap = args[1];
        topic = args[2];
        partitions = Integer.parseInt(args[3]);
        rate = Integer.parseInt(args[4]);
        patienceMs = args[5];
        requestTimeoutMs = args[6];
        underWayMax = Integer.parseInt(args[7]);
        key = "k".repeat(Integer.parseInt(args[8]));
    }

    public static void main(String[] args) throws Exception {
        System.err.println("kafka-clients " + AppInfoParser.getVersion());
        Chaos chaos = new Chaos(args);
        chaos.thread("send", chaos::send);
        Thread[] consumers = {
            chaos.thread("assign", () -> chaos.readAll(chaos.name + "-assign")),
            chaos.thread("group-0", () -> chaos.member(chaos.name + "-group-0", false)),
            chaos.thread("group-1", () -> chaos.member(chaos.name + "-group-1", true)),
        };
        try (java.util.Scanner commands = new java.util.Scanner(System.in)) {
            while (commands.hasNextLine()) {
                String command = commands.nextLine().strip();
                if (command.equals("end")) {
                    break;
                }
                chaos.stopping |= command.equals("stop");
            }
        }
        chaos.stopping = true;
        chaos.ending = true;
        for (Thread consumer : consumers) {
            consumer.join(30_000);
        }
        System.exit(0);
    }

    private interface Work {
        void run() throws Exception;
    }

    /** Runs work; that it dies is reported, and not only missed. */
    private Thread thread(String what, Work work) {
        Thread t = new Thread(() -> {
            try {
                work.run();
            } catch (Throwable e) {
                e.printStackTrace();
                new Event("problem").with("err", what + ": " + e).tell();
            }
        }, what);
        t.setDaemon(true);
        t.start();
        return t;
    }

    private static long now() {
        Instant t = Instant.now();
        return t.getEpochSecond() * 1_000_000 + t.getNano() / 1000;
    }

    /** One line of the history. */
    private static final class Event {
        private final Map<String, Object> fields = new LinkedHashMap<>();

        Event(String kind) {
            with("t", now()).with("e", kind);
        }

        Event with(String field, Object value) {
            fields.put(field, value);
            return this;
        }

        void tell() {
            String line = fields.entrySet().stream()
                .map(e -> "\"" + e.getKey() + "\":" + (e.getValue() instanceof String s ? quoted(s) : e.getValue()))
                .collect(Collectors.joining(",", "{", "}"));
            synchronized (System.out) {
                System.out.println(line);
                System.out.flush();
            }
        }

        private static String quoted(String s) {
            StringBuilder out = new StringBuilder("\"");
            for (char c : s.toCharArray()) {
                if (c == '"' || c == '\\') {
                    out.append('\\').append(c);
                } else {
                    out.append(c < ' ' ? ' ' : c);
                }
            }
            return out.append('"').toString();
        }
    }

    private Properties config(String id, String... pairs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("client.id", id);
        p.put("request.timeout.ms", requestTimeoutMs);
        p.put("default.api.timeout.ms", "10000");
        p.put("socket.connection.setup.timeout.ms", "1000");
        p.put("socket.connection.setup.timeout.max.ms", requestTimeoutMs);
        p.put("reconnect.backoff.ms", "100");
        p.put("reconnect.backoff.max.ms", "1000");
        p.put("metadata.max.age.ms", "5000");
        for (int i = 0; i < pairs.length; i += 2) {
            p.put(pairs[i], pairs[i + 1]);
        }
        return p;
    }

    private void send() throws InterruptedException {
        Properties config = config(name + "-producer", "acks", "all", "enable.idempotence", "true", "linger.ms", "0", "delivery.timeout.ms", patienceMs,
            "max.block.ms", patienceMs);
        AtomicInteger[] underWay = IntStream.range(0, partitions).mapToObj(p -> new AtomicInteger()).toArray(AtomicInteger[]::new);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            long due = System.nanoTime();
            for (int i = 0; !stopping; i++) {
                sendOne(producer, i % partitions, name + "-" + i, underWay[i % partitions]);
                due += 1_000_000_000L / rate;
                long wait = due - System.nanoTime();
                if (wait > 0) {
                    Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                }
            }
            producer.flush();
        }
        new Event("stopped").tell();
    }

    private void sendOne(KafkaProducer<String, String> producer, int partition, String value, AtomicInteger underWay) {
        if (underWay.get() >= underWayMax) {
            return;
        }
        underWay.incrementAndGet();
        new Event("send").with("w", name).with("p", partition).with("v", value).tell();
        producer.send(new ProducerRecord<>(topic, partition, key, value), (at, error) -> {
            if (error == null) {
                new Event("ack").with("p", partition).with("o", at.offset()).with("v", value).tell();
            } else {
                new Event("unknown").with("p", partition).with("v", value).with("err", error.toString()).tell();
            }
            underWay.decrementAndGet();
        });
    }

    private KafkaConsumer<String, String> consumer(String id, String... more) {
        Properties p = config(id, "enable.auto.commit", "false", "auto.offset.reset", "earliest", "fetch.max.wait.ms", "250");
        p.putAll(config(id, more));
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    private void readAll(String consumerName) {
        try (KafkaConsumer<String, String> consumer = consumer(consumerName)) {
            var all = IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
            consumer.assign(all);
            for (TopicPartition p : all) {
                new Event("assign").with("c", consumerName).with("p", p.partition()).with("o", 0L).tell();
                consumer.seek(p, 0);
            }
            for (int poll = 1; !ending; poll++) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(250))) {
                    read(r, consumerName, "", poll);
                }
            }
        }
    }

    private static void read(ConsumerRecord<String, String> r, String consumer, String group, int poll) {
        new Event("read").with("c", consumer).with("g", group).with("p", r.partition()).with("o", r.offset()).with("v", r.value())
            .with("n", poll).tell();
    }

    private void member(String consumerName, boolean leaves) {
        while (!ending) {
            long stayMs = leaves ? ThreadLocalRandom.current().nextInt(MEMBERSHIP_MIN_MS, MEMBERSHIP_MAX_MS) : Long.MAX_VALUE / 2_000_000;
            new Member(consumerName).run(System.nanoTime() + stayMs * 1_000_000);
        }
    }

    /** One membership in the group, from joining to leaving. */
    private final class Member implements ConsumerRebalanceListener {
        private final String consumerName;
        private final Map<TopicPartition, OffsetAndMetadata> behind = new HashMap<>();
        private KafkaConsumer<String, String> consumer;

        Member(String consumerName) {
            this.consumerName = consumerName;
        }

        void run(long until) {
            KafkaConsumer<String, String> joined = consumer(consumerName, "group.id", name, "session.timeout.ms", "6000", "heartbeat.interval.ms", "1000", "max.poll.interval.ms", "30000",
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            consumer = joined;
            try (joined) {
                consumer.subscribe(java.util.List.of(topic), this);
                long due = System.nanoTime() + COMMIT_EVERY.toNanos();
                for (int poll = 1; !ending && System.nanoTime() < until; poll++) {
                    for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(250))) {
                        read(r, consumerName, name, poll);
                        behind.put(new TopicPartition(topic, r.partition()), new OffsetAndMetadata(r.offset() + 1));
                    }
                    if (System.nanoTime() >= due) {
                        commit(behind);
                        due = System.nanoTime() + COMMIT_EVERY.toNanos();
                    }
                }
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            if (assigned.isEmpty()) {
                return;
            }
            long begin = now();
            Map<TopicPartition, OffsetAndMetadata> committed = null;
            try {
                committed = consumer.committed(new HashSet<>(assigned), COMMIT_TIMEOUT);
            } catch (KafkaException e) {
                System.err.println(Instant.now() + " " + consumerName + " committed: " + e);
            }
            for (TopicPartition p : assigned) {
                long start = -1;
                if (committed != null) {
                    OffsetAndMetadata o = committed.get(p);
                    new Event("fetched").with("g", name).with("p", p.partition()).with("o", o == null ? -1 : o.offset()).with("b", begin).tell();
                    start = o == null ? 0 : o.offset();
                }
                new Event("assign").with("c", consumerName).with("g", name).with("p", p.partition()).with("o", start).tell();
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            Map<TopicPartition, OffsetAndMetadata> theirs = new HashMap<>(behind);
            theirs.keySet().retainAll(revoked);
            commit(theirs);
            behind.keySet().removeAll(revoked);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            behind.keySet().removeAll(lost);
        }

        private void commit(Map<TopicPartition, OffsetAndMetadata> offsets) {
            if (offsets.isEmpty()) {
                return;
            }
            long begin = now();
            String error = "";
            try {
                consumer.commitSync(offsets, COMMIT_TIMEOUT);
            } catch (KafkaException e) {
                error = e.toString();
            }
            for (Map.Entry<TopicPartition, OffsetAndMetadata> e : offsets.entrySet()) {
                new Event("commit").with("g", name).with("p", e.getKey().partition()).with("o", e.getValue().offset()).with("b", begin)
                    .with("err", error).tell();
            }
        }
    }
}
