package interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * Reads lines, each a format and the value of a record in hexadecimal digits, and answers each with a line: the value as
 * Jackson writes what it has read, or an exclamation mark and why it read nothing.
 */
final class Mirror {
    private Mirror() {}

    static void run() throws IOException {
        HexFormat hex = HexFormat.of();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ", 2);
            Format format = Format.of(words[0]);
            try {
                answers.println(hex.formatHex(format.write(format.read(hex.parseHex(words[1])))));
            } catch (IOException refusal) {
                answers.println("! " + String.valueOf(refusal.getMessage()).lines().findFirst().orElse(""));
            }
        }
        answers.flush();
    }
}
