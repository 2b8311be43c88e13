-- Whether a version is taken is not asked of the index for each event that is appended: it lies anywhere in it, so
-- that nearly each question read a page, a third of what an append cost. The program knows the newest version of
-- most streams that are written, and asks of the others within the statement that appends. That no version is
-- entered twice is still said by the index itself.

DROP TRIGGER events_are_not_replaced;

-- Nothing takes the place of what is there: INSERT OR REPLACE deletes without asking the triggers that say that
-- events are not deleted. Request ids are asked for, as a repeat is known by that alone, however late it comes.
-- WHEN spares nearly all rows the questions.
CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
WHEN NEW.position IS NOT 1 + (SELECT max(position) FROM events)
    OR EXISTS (SELECT 1 FROM requests WHERE request_id = NEW.request_id)
BEGIN
    SELECT RAISE(ABORT, 'the log is immutable: the position is taken')
    WHERE NEW.position <= (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: positions have no gap')
    WHERE NEW.position > 1 + (SELECT max(position) FROM events);
    SELECT RAISE(ABORT, 'the log is immutable: the request id is taken')
    WHERE EXISTS (SELECT 1 FROM requests WHERE request_id = NEW.request_id);
END;
