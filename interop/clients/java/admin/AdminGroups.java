import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;

/** Checks of groups and offsets as an administrator. */
final class AdminGroups {
    static void add(Map<String, Main.Check> checks) {
        checks.put("admin.groups", AdminTopics.with(AdminGroups::groups));
        checks.put("admin.offsets", AdminTopics.with(AdminGroups::offsets));
    }

    private static void groups(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, Groups.PARTITIONS, Collections.emptyMap());
        Member member = new Member(r, r.topic, "partition.assignment.strategy", Groups.RANGE);
        Groups.await(r, member);
        r.facts.put("listed", listed(admin, r.group));
        while (!state(admin, r.group).equals("STABLE")) {
            r.waiting("a stable group");
        }
        ConsumerGroupDescription d = describe(admin, r.group);
        r.facts.put("state", "STABLE");
        r.facts.put("members", d.members().size());
        r.facts.put("protocol", d.partitionAssignor());
        r.error("delete_non_empty", () -> delete(admin, r.group));
        member.close();
        while (!state(admin, r.group).equals("EMPTY")) {
            r.waiting("an empty group, it is " + state(admin, r.group));
        }
        r.facts.put("empty_state", "EMPTY");
        r.error("deleted", () -> delete(admin, r.group));
        r.facts.put("listed_after", listed(admin, r.group));
        r.error("delete_unknown", () -> delete(admin, r.group + "-unknown"));
        try {
            r.facts.put("describe_unknown", state(admin, r.group + "-unknown"));
        } catch (java.util.concurrent.ExecutionException e) {
            r.facts.put("describe_unknown", Run.name(e));
        }
    }

    private static boolean listed(Admin admin, String group) throws Exception {
        for (ConsumerGroupListing listing : Library.get(admin.listConsumerGroups().all())) {
            if (listing.groupId().equals(group)) {
                return true;
            }
        }
        return false;
    }

    private static ConsumerGroupDescription describe(Admin admin, String group) throws Exception {
        return Library.get(admin.describeConsumerGroups(Arrays.asList(group)).describedGroups().get(group));
    }

    private static String state(Admin admin, String group) throws Exception {
        return ((Enum<?>) Reflect.first(describe(admin, group), "groupState", "state")).name();
    }

    private static void delete(Admin admin, String group) throws Exception {
        Library.get(admin.deleteConsumerGroups(Arrays.asList(group)).all());
    }

    private static void offsets(Run r, Admin admin) throws Exception {
        Library.create(r, admin, r.topic, 1, Collections.emptyMap());
        long start = Library.fillByTime(r, 60);
        r.facts.put("earliest", offset(r, admin, OffsetSpec.earliest()));
        r.facts.put("latest", offset(r, admin, OffsetSpec.latest()));
        r.facts.put("timestamp", offset(r, admin, OffsetSpec.forTimestamp(start + 41_500)));
        try {
            r.facts.put("max_timestamp", offset(r, admin, (OffsetSpec) Reflect.call(OffsetSpec.class, null, "maxTimestamp", new Class<?>[0])));
        } catch (NotOffered e) {
            // since 3.0
        }
        r.error("altered", () -> Library.get(admin.alterConsumerGroupOffsets(r.group,
            Collections.singletonMap(r.zero(), new OffsetAndMetadata(17))).all()));
        r.facts.put("committed", committed(r, admin));
        r.error("deleted", () -> Library.get(admin.deleteConsumerGroupOffsets(r.group, Collections.singleton(r.zero())).all()));
        r.facts.put("committed_after", committed(r, admin));
        r.error("delete_unknown_group", () -> Library.get(admin.deleteConsumerGroupOffsets(r.group + "-unknown",
            Collections.singleton(r.zero())).all()));
    }

    private static long offset(Run r, Admin admin, OffsetSpec spec) throws Exception {
        return Library.get(admin.listOffsets(Collections.singletonMap(r.zero(), spec)).partitionResult(r.zero())).offset();
    }

    private static long committed(Run r, Admin admin) throws Exception {
        OffsetAndMetadata at = Library.get(admin.listConsumerGroupOffsets(r.group).partitionsToOffsetAndMetadata()).get(r.zero());
        return at == null ? -1 : at.offset();
    }
}
