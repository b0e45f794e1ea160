import java.io.*;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command-line tools one after the other in one JVM. Standard input is a sequence of requests: the number of
 * strings, then each as its length and its UTF-8 bytes: class name, standard input, arguments. Each answer is exit
 * code, standard output and standard error, framed alike.
 */
public class ToolRunner {
    static final PrintStream realOut = System.out;

    public static void main(String[] args) throws Exception {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(realOut));
        while (true) {
            int n;
            try { n = in.readInt(); } catch (EOFException e) { Runtime.getRuntime().halt(0); return; }
            String[] request = new String[n];
            for (int i = 0; i < n; i++) {
                byte[] b = new byte[in.readInt()];
                in.readFully(b);
                request[i] = new String(b, StandardCharsets.UTF_8);
            }
            run(request, out);
        }
    }

    static void run(String[] request, DataOutputStream out) throws Exception {
        ByteArrayOutputStream stdout = new ByteArrayOutputStream(), stderr = new ByteArrayOutputStream();
        PrintStream o = new PrintStream(stdout, true, "UTF-8"), e = new PrintStream(stderr, true, "UTF-8");
        System.setOut(o);
        System.setErr(e);
        System.setIn(new ByteArrayInputStream(request[1].getBytes(StandardCharsets.UTF_8)));
        CompletableFuture<Integer> code = new CompletableFuture<>();
        List<Runnable> hooks = Collections.synchronizedList(new ArrayList<>());
        Exit.Procedure exit = (status, message) -> {
            hooks.forEach(Runnable::run);
            code.complete(status);
            try { while (true) Thread.sleep(1 << 30); } catch (InterruptedException x) { throw new ThreadDeath(); }
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        Thread t = new Thread(() -> {
            try {
                Method main = Class.forName(request[0]).getMethod("main", String[].class);
                main.invoke(null, (Object) Arrays.copyOfRange(request, 2, request.length));
                hooks.forEach(Runnable::run);
                code.complete(0);
            } catch (java.lang.reflect.InvocationTargetException x) {
                if (!(x.getCause() instanceof ThreadDeath)) {
                    e.print("Exception in thread \"main\" ");
                    x.getCause().printStackTrace(e);
                }
                code.complete(1);
            } catch (Throwable x) {
                x.printStackTrace(e);
                code.complete(1);
            }
        }, "main");
        t.setDaemon(true);
        t.start();
        int status;
        try { status = code.get(90, TimeUnit.SECONDS); } catch (TimeoutException x) { status = -1; }
        o.flush(); e.flush();
        out.writeInt(status);
        for (ByteArrayOutputStream b : List.of(stdout, stderr)) { out.writeInt(b.size()); b.writeTo(out); }
        out.flush();
    }
}
