import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** One check being run: what it was given, what it has found, and the clients that it makes. */
final class Run {
    final Map<String, String> params;
    final String bootstrap;
    final String topic;
    final String group;
    final short replicas; // of the topics that a check makes
    final Map<String, Object> facts = new TreeMap<>();
    private final long deadline;

    Run(Map<String, String> params) {
        this.params = params;
        bootstrap = params.get("bootstrap");
        topic = params.get("topic");
        group = params.get("group");
        replicas = Short.parseShort(params.getOrDefault("replication_factor", "1"));
        deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Long.parseLong(params.get("timeout_ms")));
    }

    /** Fails when the time is up. */
    void waiting(String what) throws InterruptedException {
        if (System.nanoTime() > deadline) {
            throw new IllegalStateException("timed out waiting for " + what);
        }
        Thread.sleep(20);
    }

    Properties config(String... pairs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) {
            p.put(pairs[i], pairs[i + 1]);
        }
        return p;
    }

    KafkaProducer<String, String> producer(String... pairs) {
        Properties p = config("acks", "all");
        p.putAll(config(Library.PRODUCER));
        p.putAll(config(pairs));
        return new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(String... pairs) {
        Properties p = config("enable.auto.commit", "false", "auto.offset.reset", "earliest");
        p.putAll(config(pairs));
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    TopicPartition zero() {
        return new TopicPartition(topic, 0);
    }

    static String key(int i) {
        return String.format("key-%04d", i);
    }

    static String value(int i) {
        StringBuilder v = new StringBuilder(String.format("value-%04d-", i));
        while (v.length() < 200) {
            v.append('x');
        }
        return v.toString();
    }

    static ProducerRecord<String, String> record(String topic, int partition, int i) {
        return new ProducerRecord<>(topic, partition, key(i), value(i));
    }

    /** Writes records from to to-1 to partition 0 and returns the offset of the first. */
    long write(KafkaProducer<String, String> producer, int from, int to) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = from; i < to; i++) {
            sent.add(producer.send(record(topic, 0, i)));
        }
        for (Future<RecordMetadata> f : sent) {
            f.get(30, TimeUnit.SECONDS);
        }
        return sent.get(0).get().offset();
    }

    /** Makes the topic with 100 records in partition 0. */
    void filled() throws Exception {
        Library.create(this, topic, 1);
        try (KafkaProducer<String, String> producer = producer()) {
            write(producer, 0, 100);
        }
    }

    /** Reads count records from where the consumer stands, and what else comes with them. */
    List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) throws Exception {
        List<ConsumerRecord<String, String>> out = new ArrayList<>();
        while (out.size() < count) {
            for (ConsumerRecord<String, String> r : Library.poll(consumer, 200)) {
                out.add(r);
            }
            if (out.size() < count) {
                waiting(count + " records, got " + out.size());
            }
        }
        return out;
    }

    /** Reads count records of partition 0 from its start. */
    List<ConsumerRecord<String, String>> readAll(int count) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            consumer.assign(Arrays.asList(zero()));
            consumer.seek(zero(), 0);
            return read(consumer, count);
        }
    }

    static String sha256(List<ConsumerRecord<String, String>> records) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (ConsumerRecord<String, String> r : records) {
            digest.update((r.key() + "|" + r.value() + "\n").getBytes(StandardCharsets.UTF_8));
        }
        StringBuilder hex = new StringBuilder();
        for (byte b : digest.digest()) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }

    interface Call {
        void run() throws Exception;
    }

    /** Notes the name of the error that the call ends with. */
    void error(String fact, Call call) {
        try {
            call.run();
            facts.put(fact, "NONE");
        } catch (Exception e) {
            facts.put(fact, name(e));
        }
    }

    static String name(Throwable e) {
        while (e instanceof ExecutionException || e.getClass() == org.apache.kafka.common.KafkaException.class && e.getCause() != null) {
            e = e.getCause();
        }
        Errors known = Errors.forException(e);
        boolean exact = known.exception() != null && known.exception().getClass() == e.getClass();
        // The client raises this one itself, when nobody answers.
        return exact && !(e instanceof TimeoutException) ? known.name() : "client:" + e.getClass().getSimpleName();
    }

    void expect(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }
}
