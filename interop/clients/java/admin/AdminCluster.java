import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclOperation;

/** Checks of the cluster and of what partitions are made of. */
final class AdminCluster {
    static void add(Map<String, Main.Check> checks) {
        checks.put("admin.cluster", AdminTopics.with(AdminCluster::cluster));
        checks.put("admin.logdirs", AdminTopics.with(AdminCluster::logDirs));
        checks.put("admin.producers", AdminTopics.with(AdminCluster::producers));
        checks.put("admin.features", AdminTopics.with(AdminCluster::features));
        checks.put("admin.elect", AdminTopics.with(AdminCluster::elect));
        checks.put("admin.reassign", AdminTopics.with(AdminCluster::reassign));
    }

    private static void cluster(Run r, Admin admin) throws Exception {
        DescribeClusterResult d = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        r.facts.put("brokers", Library.get(d.nodes()).size());
        r.facts.put("controller_known", Library.get(d.controller()) != null);
        r.facts.put("cluster_id_known", Library.get(d.clusterId()) != null);
        List<String> operations = new ArrayList<>();
        for (AclOperation operation : Library.get(d.authorizedOperations())) {
            operations.add(operation.name());
        }
        Collections.sort(operations);
        r.facts.put("authorized_operations", operations);
    }

    private static void logDirs(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 3, Collections.emptyMap());
        try (KafkaProducer<String, String> producer = r.producer()) {
            r.write(producer, 0, 100);
        }
        int broker = Library.get(admin.describeCluster().nodes()).iterator().next().id();
        while (logDirs(r, Library.get(admin.describeLogDirs(Arrays.asList(broker)).allDescriptions()).get(broker)) < 3) {
            r.waiting("all partitions in the directories"); // Kafka makes them after its answer
        }
    }

    /** Notes what the directories hold and returns how many of the topic's partitions that are. */
    private static int logDirs(Run r, Map<String, LogDirDescription> dirs) {
        int partitions = 0;
        long bytes = 0;
        String error = "NONE";
        for (LogDirDescription dir : dirs.values()) {
            if (dir.error() != null) {
                error = Run.name(dir.error());
            }
            for (Map.Entry<TopicPartition, ReplicaInfo> replica : dir.replicaInfos().entrySet()) {
                if (replica.getKey().topic().equals(r.topic)) {
                    partitions++;
                    bytes += replica.getValue().size();
                }
            }
        }
        r.facts.put("error", error);
        r.facts.put("dirs", dirs.size());
        r.facts.put("partitions", partitions);
        r.facts.put("size_positive", bytes > 0);
        return partitions;
    }

    private static void producers(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 1, Collections.emptyMap());
        try (KafkaProducer<String, String> producer = r.producer("enable.idempotence", "true", "linger.ms", "200")) {
            r.write(producer, 0, 10);
        }
        Collection<?> states = producersOf(admin, r.zero());
        r.facts.put("producers", states.size());
        for (Object state : states) {
            r.facts.put("epoch", Reflect.first(state, "producerEpoch"));
            r.facts.put("last_sequence", Reflect.first(state, "lastSequence"));
        }
        r.error("unknown_topic", () -> producersOf(admin, new TopicPartition(r.topic + "-unknown", 0)));
    }

    /** Since 3.0. */
    private static Collection<?> producersOf(Admin admin, TopicPartition p) throws Exception {
        Object result = Reflect.call(Admin.class, admin, "describeProducers", new Class<?>[] {Collection.class}, Arrays.asList(p));
        KafkaFuture<?> future = (KafkaFuture<?>) Reflect.call(result.getClass(), result, "partitionResult", new Class<?>[] {TopicPartition.class}, p);
        return (Collection<?>) Reflect.first(Library.get(future), "activeProducers");
    }

    private static void features(Run r, Admin admin) throws Exception {
        FeatureMetadata metadata = Library.get(admin.describeFeatures().featureMetadata());
        Map<String, Object> finalized = new TreeMap<>();
        metadata.finalizedFeatures().forEach((name, range) -> finalized.put(name, Arrays.asList(range.minVersionLevel(), range.maxVersionLevel())));
        Map<String, Object> supported = new TreeMap<>();
        metadata.supportedFeatures().forEach((name, range) -> supported.put(name, Arrays.asList(range.minVersion(), range.maxVersion())));
        r.facts.put("finalized", finalized);
        r.facts.put("supported", supported);
    }

    private static void elect(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 1, Collections.emptyMap());
        r.facts.put("preferred", elect(admin, ElectionType.PREFERRED, r.zero()));
        r.facts.put("unclean", elect(admin, ElectionType.UNCLEAN, r.zero()));
        r.facts.put("unknown_topic", elect(admin, ElectionType.PREFERRED, new TopicPartition(r.topic + "-unknown", 0)));
    }

    private static String elect(Admin admin, ElectionType type, TopicPartition p) throws Exception {
        Optional<Throwable> error = Library.get(admin.electLeaders(type, Collections.singleton(p)).partitions()).get(p);
        return error.isPresent() ? Run.name(error.get()) : "NONE";
    }

    private static void reassign(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 1, Collections.emptyMap());
        r.error("error", () -> r.facts.put("count", Library.get(admin.listPartitionReassignments().reassignments()).size()));
        r.error("cancel", () -> move(admin, r.zero(), Optional.empty()));
        r.error("unknown_broker", () -> move(admin, r.zero(), Optional.of(new NewPartitionReassignment(Arrays.asList(99)))));
    }

    private static void move(Admin admin, TopicPartition p, Optional<NewPartitionReassignment> to) throws Exception {
        Library.get(admin.alterPartitionReassignments(Collections.singletonMap(p, to)).all());
    }
}
