import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Checks of features that a broker may be without. */
final class Later {
    static void add(Map<String, Main.Check> checks) {
        checks.put("later.acls", AdminTopics.with(Later::acls));
        checks.put("later.scram", AdminTopics.with(Later::scram));
        checks.put("later.tokens", AdminTopics.with(Later::tokens));
        checks.put("later.quotas", AdminTopics.with(Later::quotas));
        checks.put("later.transactions", Later::transactions);
    }

    private static void acls(Run r, Admin admin) {
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, r.topic, PatternType.LITERAL),
            new AccessControlEntry("User:a", "*", AclOperation.READ, AclPermissionType.ALLOW));
        r.error("describe", () -> Library.get(admin.describeAcls(AclBindingFilter.ANY).values()));
        r.error("create", () -> Library.get(admin.createAcls(Arrays.asList(binding)).all()));
        r.error("delete", () -> Library.get(admin.deleteAcls(Arrays.asList(binding.toFilter())).all()));
    }

    private static void scram(Run r, Admin admin) {
        ScramMechanism mechanism = ScramMechanism.SCRAM_SHA_256;
        r.error("describe_unknown", () -> Library.get(admin.describeUserScramCredentials(Arrays.asList("nobody")).description("nobody")));
        r.error("delete_unknown", () -> Library.get(admin.alterUserScramCredentials(Arrays.asList(
            new UserScramCredentialDeletion("nobody", mechanism))).all()));
        r.error("upsert", () -> Library.get(admin.alterUserScramCredentials(Arrays.asList(
            new UserScramCredentialUpsertion("u", new ScramCredentialInfo(mechanism, 8192), "secret"))).all()));
    }

    private static void tokens(Run r, Admin admin) {
        r.error("create", () -> Library.get(admin.createDelegationToken().delegationToken()));
        r.error("describe", () -> Library.get(admin.describeDelegationToken().delegationTokens()));
    }

    private static void quotas(Run r, Admin admin) throws Exception {
        ClientQuotaEntity entity = new ClientQuotaEntity(Collections.singletonMap(ClientQuotaEntity.CLIENT_ID, r.topic));
        ClientQuotaFilter own = ClientQuotaFilter.containsOnly(Arrays.asList(ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, r.topic)));
        r.error("describe", () -> r.facts.put("count", Library.get(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()).size()));
        r.error("altered", () -> set(admin, entity, 1_000_000.0));
        if (!"NONE".equals(r.facts.get("altered"))) {
            return;
        }
        Collection<Map<String, Double>> found;
        do {
            r.waiting("the quota");
            found = Library.get(admin.describeClientQuotas(own).entities()).values();
        } while (found.isEmpty());
        r.facts.put("value", found.iterator().next().get("producer_byte_rate").longValue());
        set(admin, entity, null);
    }

    private static void set(Admin admin, ClientQuotaEntity entity, Double rate) throws Exception {
        Library.get(admin.alterClientQuotas(Arrays.asList(new ClientQuotaAlteration(entity,
            Arrays.asList(new ClientQuotaAlteration.Op("producer_byte_rate", rate))))).all());
    }

    private static void transactions(Run r) throws Exception {
        Library.create(r, r.topic, 1);
        try (KafkaProducer<String, String> producer = r.producer("transactional.id", r.topic, "max.block.ms", "15000")) {
            List<String> done = Arrays.asList("init", "commit", "abort", "last");
            List<Run.Call> steps = Arrays.asList(
                producer::initTransactions,
                () -> transaction(r, producer, 0, true),
                () -> transaction(r, producer, 10, false),
                () -> transaction(r, producer, 20, true));
            for (int i = 0; i < steps.size(); i++) {
                try {
                    steps.get(i).run();
                } catch (Exception e) {
                    r.facts.clear();
                    r.facts.put(done.get(i), Run.name(e));
                    return;
                }
                if (i < 3) {
                    r.facts.put(done.get(i), "NONE");
                }
            }
        }
        try (KafkaConsumer<String, String> consumer = r.consumer("isolation.level", "read_committed")) {
            consumer.assign(Arrays.asList(r.zero()));
            consumer.seek(r.zero(), 0);
            r.facts.put("visible", r.read(consumer, 20).size());
        }
    }

    private static void transaction(Run r, KafkaProducer<String, String> producer, int from, boolean commit) throws Exception {
        producer.beginTransaction();
        for (int i = from; i < from + 10; i++) {
            producer.send(Run.record(r.topic, 0, i));
        }
        producer.flush();
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }
}
