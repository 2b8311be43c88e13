-- The index of streams names a stream by a number made of its name, `Key::of`, instead of the name itself: its
-- pages have twice as many entries, and those that are entered together are in the order of numbers, which is
-- quicker to make than that of names. Two names may have the same number: then both their events are found,
-- and those that look for one tell them apart by their names. The program has made the numbers of all names
-- there are, the table `keys`, before this is run.

-- Where each version of a stream is: of all events up to the largest `up_to` of `indexed`, and of some beyond.
CREATE TABLE versions (
    key      INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (key, version, position)
) STRICT, WITHOUT ROWID;

INSERT INTO versions SELECT key, version, position FROM streams JOIN keys USING (stream)
ORDER BY key, version, position;

-- Its triggers go with it. A program of before that has the file open can enter nothing more, and finds nothing:
-- it fails, and says so.
DROP TABLE streams;
DROP TABLE keys;

CREATE TRIGGER versions_are_not_updated BEFORE UPDATE ON versions
BEGIN SELECT RAISE(ABORT, 'the log is immutable: versions are not updated'); END;

CREATE TRIGGER versions_are_not_deleted BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'the log is immutable: versions are not deleted'); END;

-- No version of a stream is taken twice. Saying again where it is, as after a kill, says nothing. The same number
-- with the same version elsewhere is refused, but for a stream of another name.
CREATE TRIGGER versions_are_not_taken_twice BEFORE INSERT ON versions
WHEN EXISTS (SELECT 1 FROM versions WHERE key = NEW.key AND version = NEW.version)
BEGIN
    SELECT RAISE(IGNORE) FROM versions
    WHERE key = NEW.key AND version = NEW.version AND position = NEW.position;
    SELECT RAISE(ABORT, 'the log is immutable: the version is taken')
    FROM versions AS there JOIN events AS taken ON taken.position = there.position
    WHERE there.key = NEW.key AND there.version = NEW.version
    AND taken.stream = (SELECT stream FROM events WHERE position = NEW.position);
END;
