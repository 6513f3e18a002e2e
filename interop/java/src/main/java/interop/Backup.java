package interop;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.annotation.JsonPOJOBuilder;
import java.util.Date;
import java.util.Objects;
import java.util.UUID;

/** A record of the topic {@code backups}, with the field types of the Java services and no annotation that changes its JSON. */
@JsonDeserialize(builder = Backup.Builder.class)
public final class Backup implements Transition {
    /** The states and their names on the wire. */
    public enum State { STARTING, READY, BACKING_UP, RESTORING }

    private final UUID id;
    private final String application;
    private final Date timestamp;
    private final State from;
    private final State to;

    private Backup(Builder builder) {
        id = Objects.requireNonNull(builder.id, "id");
        application = Objects.requireNonNull(builder.application, "application");
        timestamp = Objects.requireNonNull(builder.timestamp, "timestamp");
        from = Objects.requireNonNull(builder.from, "from");
        to = Objects.requireNonNull(builder.to, "to");
    }

    @Override
    public UUID getId() {
        return id;
    }

    @Override
    public String getApplication() {
        return application;
    }

    @Override
    public Date getTimestamp() {
        return timestamp;
    }

    public State getFrom() {
        return from;
    }

    public State getTo() {
        return to;
    }

    @Override
    public Meaning meaning() {
        return new Meaning(id, application, timestamp.getTime(), from.name(), to.name());
    }

    /** What Jackson fills, field by field. */
    @JsonPOJOBuilder(withPrefix = "")
    public static final class Builder {
        @JsonProperty private UUID id;
        @JsonProperty private String application;
        @JsonProperty private Date timestamp;
        @JsonProperty private State from;
        @JsonProperty private State to;

        public Backup build() {
            return new Backup(this);
        }
    }
}
