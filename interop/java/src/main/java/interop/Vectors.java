package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;

/** Reads files of vectors, and prints each vector with which Jackson does something else than the file says. */
final class Vectors {
    private int checked;
    private int wrong;

    /** Whether nothing was wrong, and something was checked. */
    boolean check(List<String> files) throws IOException {
        for (String file : files) {
            JsonNode root = new ObjectMapper().readTree(new File(file));
            for (JsonNode vector : root.path("vectors")) {
                if (root.path("format").isNull()) {
                    checkIn(Format.BACKUP_JSON, vector);
                    checkIn(Format.ACTION_JSON, vector);
                } else {
                    checkIn(Format.of(root.path("format").asText()), vector);
                }
            }
        }
        System.out.println(checked + " checked, " + wrong + " wrong");
        return checked > 0 && wrong == 0;
    }

    private void checkIn(Format format, JsonNode vector) {
        boolean meant = vector.has("transition");
        // Of CBOR, Jackson's opinion counts only on what is meant to be read, and knows no field beyond the five.
        String expected = vector.path("jackson").asText(format == Format.CBOR && meant ? "reads" : "");
        if (expected.isEmpty()) {
            return;
        }
        checked++;
        String fault = fault(format, vector, expected);
        if (fault != null) {
            wrong++;
            System.out.println(format + " " + vector.path("name").asText() + ": " + fault);
        }
    }

    /** Null if all is as expected. */
    private static String fault(Format format, JsonNode vector, String expected) {
        byte[] value = vector.has("hex")
                ? HexFormat.of().parseHex(vector.get("hex").asText())
                : vector.get("text").asText().getBytes(StandardCharsets.UTF_8);
        Transition transition;
        byte[] written;
        try {
            transition = format.read(value);
            written = format.write(transition);
        } catch (IOException | RuntimeException refusal) {
            return expected.equals("refuses") ? null : "refused: " + refusal.getMessage();
        }
        if (expected.equals("refuses")) {
            return "was read";
        }
        if (vector.has("transition") && !transition.meaning().equals(meaning(vector.get("transition")))) {
            return "was read as " + transition.meaning();
        }
        boolean same = Arrays.equals(written, value);
        boolean comparable = format != Format.CBOR;
        return comparable && same != expected.equals("same")
                ? "is written back as " + new String(written, StandardCharsets.UTF_8)
                : null;
    }

    private static Transition.Meaning meaning(JsonNode node) {
        return new Transition.Meaning(
                UUID.fromString(node.get("id").asText()),
                node.get("application").asText(),
                node.get("timestamp").asLong(),
                node.get("from").asText(),
                node.get("to").asText());
    }
}
