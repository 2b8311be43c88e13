-- The log: one row per event, exactly as it was sealed. Readable with plain sqlite3; see the view.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY CHECK (position >= 0),  -- 0 = genesis; the compare-and-swap
    version        INTEGER NOT NULL CHECK (version >= 1),
    recorded_at    INTEGER NOT NULL,                           -- microseconds since 1970, UTC
    part_index     INTEGER NOT NULL CHECK (part_index >= 0),
    part_size      INTEGER NOT NULL CHECK (part_size > part_index),
    schema_version INTEGER NOT NULL CHECK (schema_version >= 1),
    stream         TEXT    NOT NULL,
    event_type     TEXT    NOT NULL,
    request_id     TEXT    CHECK (request_id <> ''),
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),
    UNIQUE (stream, version)
) STRICT;

CREATE UNIQUE INDEX events_request_id ON events (request_id) WHERE request_id IS NOT NULL;

-- The lineages of the log: a row is added when a tail was lost, or may have been.
CREATE TABLE epochs (
    epoch          INTEGER PRIMARY KEY CHECK (epoch >= 1),
    first_position INTEGER NOT NULL CHECK (first_position >= 1)
) STRICT;

INSERT INTO epochs (epoch, first_position) VALUES (1, 1);

-- What happened, happened.
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log is immutable: events are not updated'); END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log is immutable: events are not deleted'); END;

-- Nothing takes the place of what is there: INSERT OR REPLACE deletes without asking the triggers
-- above. What these say is what the keys would say. WHEN spares nearly all rows the four questions: only
-- one that will be refused, or one with a request id, is asked them.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.position IS NOT 1 + (SELECT max(position) FROM events)
    OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND version = NEW.version)
    OR NEW.request_id IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the position is taken')
    WHERE NEW.position <= (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: positions have no gap')
    WHERE NEW.position > 1 + (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: the version is taken')
    WHERE EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND version = NEW.version);
    SELECT RAISE(ABORT, 'the log is immutable: the request id is taken')
    WHERE EXISTS (SELECT 1 FROM events WHERE request_id = NEW.request_id);
END;

CREATE TRIGGER epochs_are_not_replaced BEFORE INSERT ON epochs
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the epoch is taken')
    WHERE NEW.epoch <= (SELECT max(epoch) FROM epochs);
END;

CREATE TRIGGER epochs_are_not_updated BEFORE UPDATE ON epochs
BEGIN SELECT RAISE(ABORT, 'the log is immutable: epochs are not updated'); END;

CREATE TRIGGER epochs_are_not_deleted BEFORE DELETE ON epochs
BEGIN SELECT RAISE(ABORT, 'the log is immutable: epochs are not deleted'); END;

-- For people: times as text, hashes as hexadecimal digits.
CREATE VIEW readable AS
SELECT position, stream, version, event_type,
       strftime('%Y-%m-%dT%H:%M:%S', recorded_at / 1000000, 'unixepoch')
           || printf('.%06dZ', recorded_at % 1000000) AS recorded_at,
       payload, metadata, request_id, lower(hex(hash)) AS hash
FROM events ORDER BY position;
