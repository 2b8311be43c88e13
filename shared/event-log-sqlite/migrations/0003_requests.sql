-- The index of request ids is written later than the log too, together with that of streams. Most clients make
-- their ids by chance, so each event cost a page of it. Ids that are not in it yet are those of the newest
-- events, and the program knows them.

-- Where the first event of each request is: of all requests up to the largest `up_to` of `indexed`, and of some
-- beyond.
CREATE TABLE requests (
    request_id TEXT    NOT NULL PRIMARY KEY,
    position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is there already is entered at once.
INSERT INTO requests SELECT request_id, position FROM events WHERE request_id IS NOT NULL ORDER BY request_id;

DROP INDEX events_request_id;

-- As before, but for where the request ids are looked up: nearly all rows are spared the questions now.
DROP TRIGGER events_are_not_replaced;

CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.position IS NOT 1 + (SELECT max(position) FROM events)
    OR EXISTS (SELECT 1 FROM streams WHERE stream = NEW.stream AND version = NEW.version)
    OR EXISTS (SELECT 1 FROM requests WHERE request_id = NEW.request_id)
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the position is taken')
    WHERE NEW.position <= (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: positions have no gap')
    WHERE NEW.position > 1 + (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: the version is taken')
    WHERE EXISTS (SELECT 1 FROM streams WHERE stream = NEW.stream AND version = NEW.version);
    SELECT RAISE(ABORT, 'the log is immutable: the request id is taken')
    WHERE EXISTS (SELECT 1 FROM requests WHERE request_id = NEW.request_id);
END;

CREATE TRIGGER requests_are_not_updated BEFORE UPDATE ON requests
BEGIN SELECT RAISE(ABORT, 'the log is immutable: requests are not updated'); END;

CREATE TRIGGER requests_are_not_deleted BEFORE DELETE ON requests
BEGIN SELECT RAISE(ABORT, 'the log is immutable: requests are not deleted'); END;

-- A request keeps its place. Saying again where it is, as after a kill, says nothing.
CREATE TRIGGER requests_are_not_replaced BEFORE INSERT ON requests
WHEN EXISTS (SELECT 1 FROM requests WHERE request_id = NEW.request_id)
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the request id is taken')
    FROM requests WHERE request_id = NEW.request_id AND position <> NEW.position;
    SELECT RAISE(IGNORE);
END;
