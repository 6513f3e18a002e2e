package interop;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.annotation.JsonPOJOBuilder;
import java.util.Date;
import java.util.Objects;
import java.util.UUID;

/** A record of the topic {@code actions}; as {@link Backup}, with an action that may be null. */
@JsonDeserialize(builder = Action.Builder.class)
public final class Action implements Transition {
    /** The states and their names on the wire. */
    public enum State { STARTING, READY, PROCESSING }

    private final UUID id;
    private final String application;
    private final String action;
    private final Date timestamp;
    private final State from;
    private final State to;

    private Action(Builder builder) {
        id = Objects.requireNonNull(builder.id, "id");
        application = Objects.requireNonNull(builder.application, "application");
        action = builder.action;
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

    public String getAction() {
        return action;
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
        return new Meaning(id, application, timestamp.getTime(), word(from), word(to));
    }

    private String word(State state) {
        if (state != State.PROCESSING) {
            return state.name();
        }
        if ("backup".equals(action)) {
            return Backup.State.BACKING_UP.name();
        }
        return "restore".equals(action) ? Backup.State.RESTORING.name() : "PROCESSING of " + action;
    }

    /** What Jackson fills, field by field. */
    @JsonPOJOBuilder(withPrefix = "")
    public static final class Builder {
        @JsonProperty private UUID id;
        @JsonProperty private String application;
        @JsonProperty private String action;
        @JsonProperty private Date timestamp;
        @JsonProperty private State from;
        @JsonProperty private State to;

        public Action build() {
            return new Action(this);
        }
    }
}
