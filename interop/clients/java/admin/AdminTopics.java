import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Checks of topics, their configs, partitions and records. */
final class AdminTopics {
    static void add(Map<String, Main.Check> checks) {
        checks.put("topic.create", with(AdminTopics::create));
        checks.put("metadata", with(AdminTopics::metadata));
        checks.put("admin.topics", with(AdminTopics::topics));
        checks.put("admin.configs", with(AdminTopics::configs));
        checks.put("admin.partitions", with(AdminTopics::partitions));
        checks.put("admin.records", with(AdminTopics::records));
    }

    interface Body {
        void run(Run r, Admin admin) throws Exception;
    }

    static Main.Check with(Body body) {
        return r -> {
            try (Admin admin = Admin.create(r.config("default.api.timeout.ms", "20000", "request.timeout.ms", "10000"))) {
                body.run(r, admin);
            }
        };
    }

    private static void create(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 3, Collections.emptyMap());
        r.facts.put("partitions", Library.describe(admin, r.topic).partitions().size());
        r.error("again", () -> Library.get(admin.createTopics(Arrays.asList(new NewTopic(r.topic, 3, r.replicas))).all()));
        r.error("invalid_name", () -> Library.get(admin.createTopics(Arrays.asList(new NewTopic("a/b", 1, (short) 1))).all()));
        r.error("replication_factor_3", () -> Library.get(admin.createTopics(Arrays.asList(new NewTopic(r.topic + "-3", 1, (short) 3))).all()));
    }

    private static void metadata(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 3, Collections.emptyMap());
        r.facts.put("brokers", Library.get(admin.describeCluster().nodes()).size());
        r.facts.put("controller_known", Library.get(admin.describeCluster().controller()) != null);
        TopicDescription d = Library.describe(admin, r.topic);
        r.facts.put("partitions", d.partitions().size());
        boolean led = true;
        for (TopicPartitionInfo p : d.partitions()) {
            led &= p.leader() != null;
        }
        r.facts.put("leaders_known", led);
        r.error("unknown_topic", () -> Library.describe(admin, r.topic + "-unknown"));
    }

    private static void topics(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 3, Collections.emptyMap());
        while (!Library.get(admin.listTopics().names()).contains(r.topic)) {
            r.waiting("the topic in the list");
        }
        r.facts.put("listed", true);
        TopicDescription d = Library.describe(admin, r.topic);
        r.facts.put("partitions", d.partitions().size());
        r.facts.put("internal", d.isInternal());
        r.error("deleted", () -> Library.get(admin.deleteTopics(Arrays.asList(r.topic)).all()));
        while (Library.get(admin.listTopics().names()).contains(r.topic)) {
            r.waiting("the topic to be gone");
        }
        r.facts.put("listed_after", false);
        r.error("delete_unknown", () -> Library.get(admin.deleteTopics(Arrays.asList(r.topic + "-unknown")).all()));
        r.error("describe_unknown", () -> Library.describe(admin, r.topic + "-unknown"));
    }

    private static void configs(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 1, Library.configs("cleanup.policy", "compact"));
        while (!r.facts.containsKey("before")) { // another broker may answer than the one that has shown the topic
            try {
                r.facts.put("before", described(admin, r.topic));
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw e;
                }
                r.waiting("the topic's settings");
            }
        }
        r.error("altered", () -> alter(admin, r.topic, "retention.ms", "86400000"));
        Map<String, Map<String, Object>> after;
        do {
            r.waiting("the altered config");
            after = described(admin, r.topic);
        } while (!"86400000".equals(after.get("retention.ms").get("value")));
        r.facts.put("after", after);
        r.facts.put("other_kept", "compact".equals(after.get("cleanup.policy").get("value")));
        r.error("bad_key", () -> alter(admin, r.topic, "no.such.key", "1"));
        r.error("bad_value", () -> alter(admin, r.topic, "retention.ms", "abc"));
        r.error("unknown_topic", () -> described(admin, r.topic + "-unknown"));
        String broker = Library.get(admin.describeCluster().nodes()).iterator().next().idString();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER, broker);
        r.error("broker", () -> Library.get(admin.describeConfigs(Collections.singleton(resource)).all()));
    }

    private static void alter(Admin admin, String topic, String key, String value) throws Exception {
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET);
        Map<ConfigResource, Collection<AlterConfigOp>> request =
            Collections.singletonMap(new ConfigResource(ConfigResource.Type.TOPIC, topic), Arrays.asList(op));
        Library.get(admin.incrementalAlterConfigs(request).all());
    }

    private static Map<String, Map<String, Object>> described(Admin admin, String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = Library.get(admin.describeConfigs(Collections.singleton(resource),
            new org.apache.kafka.clients.admin.DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true)).all()).get(resource);
        Map<String, Map<String, Object>> out = new TreeMap<>();
        for (String key : Arrays.asList("retention.ms", "cleanup.policy")) {
            ConfigEntry e = config.get(key);
            Map<String, Object> entry = new TreeMap<>();
            entry.put("value", e.value());
            entry.put("source", e.source().name());
            entry.put("read_only", e.isReadOnly());
            entry.put("sensitive", e.isSensitive());
            entry.put("type", e.type().name());
            List<String> synonyms = new ArrayList<>();
            for (ConfigEntry.ConfigSynonym s : e.synonyms()) {
                synonyms.add(s.name() + "=" + s.value() + "@" + s.source());
            }
            entry.put("synonyms", synonyms);
            entry.put("documented", e.documentation() != null && !e.documentation().isEmpty());
            out.put(key, entry);
        }
        return out;
    }

    private static void partitions(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 2, Collections.emptyMap());
        r.error("grown", () -> grow(admin, r.topic, 4));
        while (Library.describe(admin, r.topic).partitions().size() != 4) {
            r.waiting("four partitions");
        }
        r.facts.put("partitions", 4);
        r.error("fewer", () -> grow(admin, r.topic, 3));
        r.error("same", () -> grow(admin, r.topic, 4));
        r.error("unknown_topic", () -> grow(admin, r.topic + "-unknown", 4));
    }

    private static void grow(Admin admin, String topic, int total) throws Exception {
        Library.get(admin.createPartitions(Collections.singletonMap(topic, NewPartitions.increaseTo(total))).all());
    }

    private static void records(Run r, Admin admin) throws Exception {
        r.filled();
        r.error("deleted", () -> r.facts.put("low_watermark", delete(admin, r.zero(), 42)));
        try (KafkaConsumer<String, String> consumer = r.consumer()) {
            r.facts.put("earliest", consumer.beginningOffsets(Collections.singleton(r.zero())).get(r.zero()));
        }
        r.error("beyond_end", () -> delete(admin, r.zero(), 1000));
        r.facts.put("all_low_watermark", delete(admin, r.zero(), -1));
        r.error("unknown_topic", () -> delete(admin, new TopicPartition(r.topic + "-unknown", 0), 1));
    }

    private static long delete(Admin admin, TopicPartition p, long before) throws Exception {
        return Library.get(admin.deleteRecords(Collections.singletonMap(p, RecordsToDelete.beforeOffset(before))).lowWatermarks().get(p)).lowWatermark();
    }
}
