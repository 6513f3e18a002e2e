package interop;

import java.util.Date;
import java.util.UUID;

/** What both kinds of record have. */
interface Transition {
    UUID getId();

    String getApplication();

    Date getTimestamp();

    /** What the record says, in the words of the format {@code backup}. */
    Meaning meaning();

    /** The fields of {@code transition} in a vector. */
    record Meaning(UUID id, String application, long timestamp, String from, String to) {}
}
