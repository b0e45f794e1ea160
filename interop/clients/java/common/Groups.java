import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/** Checks of groups that every generation has. */
final class Groups {
    static final int PARTITIONS = 4;
    static final String RANGE = "org.apache.kafka.clients.consumer.RangeAssignor";

    static void add(Map<String, Main.Check> checks) {
        checks.put("group.two", r -> two(r, RANGE));
        checks.put("group.commit", Groups::commit);
        checks.put("group.resume", Groups::resume);
        checks.put("group.unknown", Groups::unknown);
    }

    /** Two members share, one leaves, the other has all; returns how many partitions that one lost by it. */
    static int two(Run r, String assignor) throws Exception {
        Library.create(r, r.topic, PARTITIONS);
        Member stays = new Member(r, r.topic, "partition.assignment.strategy", assignor);
        Member leaves = new Member(r, r.topic, "partition.assignment.strategy", assignor);
        r.facts.put("before", await(r, stays, leaves));
        spread(r);
        awaitRead(r, 100, stays, leaves);
        int before = stays.read().size() + leaves.read().size();
        int revoked = stays.revoked();
        leaves.close();
        r.facts.put("after", await(r, stays));
        revoked = stays.revoked() - revoked;
        spread(r);
        awaitRead(r, 200, stays, leaves);
        stays.close();
        List<String> read = new ArrayList<>(stays.read());
        read.addAll(leaves.read());
        r.facts.put("read_before", before);
        r.facts.put("read_after", read.size() - before);
        r.facts.put("duplicates", read.size() - new HashSet<>(read).size());
        return revoked;
    }

    /** Returns the members' shares, sorted, once they have all partitions between them and none is without. */
    static List<Integer> await(Run r, Member... members) throws Exception {
        while (true) {
            List<Integer> shares = new ArrayList<>();
            HashSet<TopicPartition> all = new HashSet<>();
            for (Member m : members) {
                shares.add(m.owned().size());
                all.addAll(m.owned());
            }
            int sum = 0;
            for (int share : shares) {
                sum += share;
            }
            if (!shares.contains(0) && sum == PARTITIONS && all.size() == PARTITIONS) {
                Collections.sort(shares);
                return shares;
            }
            r.waiting("a share for each member, have " + shares);
        }
    }

    /** Writes 25 records to each partition. */
    static void spread(Run r) throws Exception {
        try (KafkaProducer<String, String> producer = r.producer()) {
            for (int i = 0; i < 25 * PARTITIONS; i++) {
                producer.send(Run.record(r.topic, i % PARTITIONS, i));
            }
            producer.flush();
        }
    }

    static void awaitRead(Run r, int count, Member... members) throws Exception {
        for (int read = 0; ; ) {
            read = 0;
            for (Member m : members) {
                read += m.read().size();
            }
            if (read >= count) {
                return;
            }
            r.waiting(count + " records in the group, have " + read);
        }
    }

    private static void commit(Run r) throws Exception {
        r.filled();
        try (KafkaConsumer<String, String> consumer = r.consumer("group.id", r.group, "max.poll.records", "50")) {
            consumer.subscribe(Arrays.asList(r.topic));
            Consume.note(r, r.read(consumer, 50));
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            offsets.put(r.zero(), new OffsetAndMetadata(50));
            consumer.commitSync(offsets);
        }
        try (KafkaConsumer<String, String> other = r.consumer("group.id", r.group)) {
            r.facts.put("committed", Library.committed(other, r.zero()));
        }
    }

    private static void resume(Run r) throws Exception {
        try (KafkaConsumer<String, String> consumer = r.consumer("group.id", r.group)) {
            consumer.subscribe(Arrays.asList(r.topic));
            List<ConsumerRecord<String, String>> records = r.read(consumer, 50);
            for (ConsumerRecord<String, String> more : Library.poll(consumer, 500)) {
                records.add(more);
            }
            Consume.note(r, records);
        }
    }

    private static void unknown(Run r) throws Exception {
        Library.create(r, r.topic, 1);
        try (KafkaConsumer<String, String> consumer = r.consumer("group.id", r.group + "-unknown")) {
            r.error("error", () -> r.facts.put("committed", Library.committed(consumer, r.zero())));
        }
    }
}
