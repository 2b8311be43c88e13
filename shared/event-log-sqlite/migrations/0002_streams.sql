-- The index of streams is written later than the log. Events of one commit lie all over it, and SQLite writes
-- whole pages: with the key (stream, version) that the table had, each event cost a page, which was most of
-- what a commit cost. Now many thousand events are entered at once, in the index's own order; those that are
-- not in it yet are the newest, and the program knows them.

DROP VIEW readable;

CREATE TABLE events_by_position (
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
    hash           BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Where each version of a stream is: of all events up to the largest `up_to`, and of some beyond.
CREATE TABLE streams (
    stream   TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE indexed (up_to INTEGER PRIMARY KEY) STRICT;

-- What is there already is entered at once. Genesis is of no stream that anybody asks for.
INSERT INTO events_by_position SELECT * FROM events ORDER BY position;
INSERT INTO streams SELECT stream, version, position FROM events WHERE position > 0 ORDER BY stream, version;
INSERT INTO indexed SELECT coalesce(max(position), 0) FROM events;

-- Its triggers and indexes go with it.
DROP TABLE events;
ALTER TABLE events_by_position RENAME TO events;

CREATE UNIQUE INDEX events_request_id ON events (request_id) WHERE request_id IS NOT NULL;

-- What happened, happened.
CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the log is immutable: events are not updated'); END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the log is immutable: events are not deleted'); END;

-- Nothing takes the place of what is there: INSERT OR REPLACE deletes without asking the triggers
-- above. What these say is what the keys would say. WHEN spares nearly all rows the questions: only
-- one that will be refused, or one with a request id, is asked them. That no version is taken of an event
-- that is not in the index yet, the program sees to.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.position IS NOT 1 + (SELECT max(position) FROM events)
    OR EXISTS (SELECT 1 FROM streams WHERE stream = NEW.stream AND version = NEW.version)
    OR NEW.request_id IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the position is taken')
    WHERE NEW.position <= (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: positions have no gap')
    WHERE NEW.position > 1 + (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: the version is taken')
    WHERE EXISTS (SELECT 1 FROM streams WHERE stream = NEW.stream AND version = NEW.version);
    SELECT RAISE(ABORT, 'the log is immutable: the request id is taken')
    WHERE EXISTS (SELECT 1 FROM events WHERE request_id = NEW.request_id);
END;

CREATE TRIGGER streams_are_not_updated BEFORE UPDATE ON streams
BEGIN SELECT RAISE(ABORT, 'the log is immutable: streams are not updated'); END;

CREATE TRIGGER streams_are_not_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'the log is immutable: streams are not deleted'); END;

-- An event keeps its place. Saying again where it is, as after a kill, says nothing.
CREATE TRIGGER streams_are_not_replaced BEFORE INSERT ON streams
WHEN EXISTS (SELECT 1 FROM streams WHERE stream = NEW.stream AND version = NEW.version)
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the version is taken')
    FROM streams WHERE stream = NEW.stream AND version = NEW.version AND position <> NEW.position;
    SELECT RAISE(IGNORE);
END;

CREATE TRIGGER indexed_is_not_updated BEFORE UPDATE ON indexed
BEGIN SELECT RAISE(ABORT, 'the log is immutable: what is indexed is not updated'); END;

CREATE TRIGGER indexed_is_not_deleted BEFORE DELETE ON indexed
BEGIN SELECT RAISE(ABORT, 'the log is immutable: what is indexed is not deleted'); END;

-- For people: times as text, hashes as hexadecimal digits.
CREATE VIEW readable AS
SELECT position, stream, version, event_type,
       strftime('%Y-%m-%dT%H:%M:%S', recorded_at / 1000000, 'unixepoch')
           || printf('.%06dZ', recorded_at % 1000000) AS recorded_at,
       payload, metadata, request_id, lower(hex(hash)) AS hash
FROM events ORDER BY position;
