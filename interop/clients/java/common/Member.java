import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;

/** A member of a group that polls in a thread of its own until it is closed. */
final class Member implements ConsumerRebalanceListener, Runnable {
    private final KafkaConsumer<String, String> consumer;
    private final Thread thread;
    private final Set<TopicPartition> owned = new HashSet<>();
    private final List<String> read = new ArrayList<>();
    private int assignments;
    private int revoked;
    private volatile boolean closing;

    Member(Run r, String topic, String... config) {
        List<String> pairs = new ArrayList<>(Arrays.asList("group.id", r.group, "enable.auto.commit", "true",
            "session.timeout.ms", "15000", "heartbeat.interval.ms", "300", "max.poll.records", "50"));
        pairs.addAll(Arrays.asList(config));
        consumer = r.consumer(pairs.toArray(new String[0]));
        consumer.subscribe(Arrays.asList(topic), this);
        thread = new Thread(this, "member");
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void run() {
        try {
            while (!closing) {
                for (ConsumerRecord<String, String> record : Library.poll(consumer, 100)) {
                    synchronized (this) {
                        read.add(record.partition() + "@" + record.offset());
                    }
                }
            }
        } catch (WakeupException e) {
            // closing
        } finally {
            consumer.close();
        }
    }

    /** Leaves, unless it is a static member. */
    void close() throws InterruptedException {
        closing = true;
        thread.join(20_000);
    }

    @Override
    public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        owned.addAll(partitions);
        if (!partitions.isEmpty()) {
            assignments++;
        }
    }

    @Override
    public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        owned.removeAll(partitions);
        revoked += partitions.size();
    }

    synchronized Set<TopicPartition> owned() {
        return new HashSet<>(owned);
    }

    synchronized List<String> read() {
        return new ArrayList<>(read);
    }

    synchronized int assignments() {
        return assignments;
    }

    synchronized int revoked() {
        return revoked;
    }
}
