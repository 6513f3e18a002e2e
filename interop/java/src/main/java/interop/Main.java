package interop;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/** {@code vectors FILE...} checks files of vectors; {@code mirror} writes back what it reads. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        List<String> words = Arrays.asList(arguments);
        if (words.size() > 1 && words.get(0).equals("vectors")) {
            System.exit(new Vectors().check(words.subList(1, words.size())) ? 0 : 1);
        } else if (words.equals(List.of("mirror"))) {
            Mirror.run();
        } else {
            System.err.println("usage: vectors FILE... | mirror");
            System.exit(2);
        }
    }
}
