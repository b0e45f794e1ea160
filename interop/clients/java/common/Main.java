import java.util.Map;
import java.util.TreeMap;

/**
 * The driver of Java's kafka-clients: Main CHECK PARAMS, or Main version. ../README.md is the contract.
 *
 * <p>common/ compiles against every generation, 0.10.0 included. What that one lacks is in admin/, for 2.8 and later;
 * classic/ takes its place for 0.10.0. Each has a class Library, which is all that the common checks know of it.
 */
public final class Main {
    interface Check {
        void run(Run r) throws Exception;
    }

    public static void main(String[] args) {
        Map<String, Object> answer = new TreeMap<>();
        Run r = null;
        try {
            if (args[0].equals("version")) {
                Map<String, Object> facts = new TreeMap<>();
                facts.put("client", "kafka-clients");
                facts.put("version", org.apache.kafka.common.utils.AppInfoParser.getVersion());
                answer.put("facts", facts);
            } else {
                r = new Run(Json.object(args[1]));
                answer.put("facts", r.facts);
                Map<String, Check> checks = new TreeMap<>();
                Produce.add(checks);
                Consume.add(checks);
                Groups.add(checks);
                Library.add(checks);
                Check check = checks.get(args[0]);
                if (check == null) {
                    throw new NotOffered(Library.lacks(args[0]));
                }
                check.run(r);
            }
            answer.put("status", "ok");
        } catch (NotOffered e) {
            answer.put("status", "unsupported");
            answer.put("detail", e.getMessage());
        } catch (Throwable e) {
            e.printStackTrace();
            answer.put("status", "failed");
            answer.put("detail", e.toString());
        }
        System.out.println(Json.text(answer));
        System.out.flush();
        // A client's thread that does not end must not keep the driver.
        Runtime.getRuntime().halt(0);
    }
}

/** The library has no such feature. */
final class NotOffered extends Exception {
    NotOffered(String what) {
        super(what);
    }
}
