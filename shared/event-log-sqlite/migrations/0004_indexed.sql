-- A program that knows no index of request ids, and had the file open when it was brought up to date, writes on.
-- It enters streams, and says `indexed` of what lacks the request ids then: they could be given again. What it
-- says is heard no more; who knows both indexes says that too, and enters what it did not.

ALTER TABLE indexed ADD COLUMN with_requests INTEGER;

CREATE TRIGGER indexed_is_of_both BEFORE INSERT ON indexed
WHEN NEW.with_requests IS NULL
BEGIN SELECT RAISE(IGNORE); END;
