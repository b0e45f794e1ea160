import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

/** Calls of methods that one of the generations does not have. */
final class Reflect {
    /** Calls the first of the methods without parameters that the object has. */
    static Object first(Object on, String... names) throws Exception {
        for (String name : names) {
            for (Method m : on.getClass().getMethods()) {
                if (m.getName().equals(name) && m.getParameterCount() == 0) {
                    return invoke(m, on);
                }
            }
        }
        throw new NotOffered(on.getClass().getSimpleName() + " has no " + String.join(", ", names));
    }

    /** Calls a method of type, which may be an interface. */
    static Object call(Class<?> type, Object on, String name, Class<?>[] parameters, Object... args) throws Exception {
        try {
            return invoke(type.getMethod(name, parameters), on, args);
        } catch (NoSuchMethodException e) {
            throw new NotOffered(type.getSimpleName() + " has no " + name);
        }
    }

    private static Object invoke(Method m, Object on, Object... args) throws Exception {
        try {
            return m.invoke(on, args);
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }
}
