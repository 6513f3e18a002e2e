package interop;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.cbor.CBORFactory;
import java.io.IOException;

/** The wire formats, each read and written by a mapper with Jackson's defaults. */
enum Format {
    BACKUP_JSON("backup-json", Backup.class, new ObjectMapper()),
    ACTION_JSON("action-json", Action.class, new ObjectMapper()),
    CBOR("cbor", Backup.class, new ObjectMapper(new CBORFactory()));

    private final String word;
    private final Class<? extends Transition> type;
    private final ObjectMapper mapper;

    Format(String word, Class<? extends Transition> type, ObjectMapper mapper) {
        this.word = word;
        this.type = type;
        this.mapper = mapper;
    }

    static Format of(String word) {
        for (Format format : values()) {
            if (format.word.equals(word)) {
                return format;
            }
        }
        throw new IllegalArgumentException("no format: " + word);
    }

    Transition read(byte[] value) throws IOException {
        return mapper.readValue(value, type);
    }

    byte[] write(Transition transition) throws IOException {
        return mapper.writeValueAsBytes(transition);
    }
}
