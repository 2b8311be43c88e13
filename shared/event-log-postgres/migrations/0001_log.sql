-- The log. Insert-only: positions, versions and hashes are the writer's; the keys below are what
-- makes a writer that is late fail. Applied in one transaction that holds the log's lock.
--
-- There is no CHECK: the database would read its expression anew for every append, which cost a
-- sixth of one. Rows are checked before they are sent, and by everyone who reads them.

CREATE TABLE configapi.events (
    position       bigint  NOT NULL,  -- 0 is genesis; dense; the key is the compare-and-swap
    version        bigint  NOT NULL,  -- dense per stream, from 1
    recorded_at    bigint  NOT NULL,  -- microseconds since 1970, UTC: exactly what is hashed
    part_index     integer NOT NULL,  -- which event of its command
    part_size      integer NOT NULL,  -- of how many
    schema_version integer NOT NULL,  -- of the payload's form
    stream         text COLLATE "C" NOT NULL,
    event_type     text COLLATE "C" NOT NULL,
    request_id     text COLLATE "C",  -- on the first event of a keyed command
    payload        bytea   NOT NULL,  -- JSON as bytes: no database encoding can touch what is hashed
    metadata       bytea   NOT NULL,
    hash           bytea   NOT NULL,
    CONSTRAINT events_position_key PRIMARY KEY (position),
    CONSTRAINT events_stream_version_key UNIQUE (stream, version)
);

CREATE UNIQUE INDEX events_request_id_key ON configapi.events (request_id)
    WHERE request_id IS NOT NULL;

-- Values are moved out of the row as they are: nothing is compressed while others wait their turn.
ALTER TABLE configapi.events ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE configapi.events ALTER COLUMN metadata SET STORAGE EXTERNAL;

-- Rows never change, so each is worth freezing as soon as it is vacuumed.
ALTER TABLE configapi.events SET (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_freeze_min_age = 0
);

-- A new row whenever the log lost its tail, or may have: positions from first_position on belong
-- to this epoch. The timeline is the server's own count of its failovers and restores.
CREATE TABLE configapi.epochs (
    epoch          bigint NOT NULL,
    first_position bigint NOT NULL,
    timeline       text   NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT epochs_key PRIMARY KEY (epoch),
    CONSTRAINT epochs_sane CHECK (epoch >= 1 AND first_position >= 1)
);

CREATE FUNCTION configapi.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is never changed: % on %.% is refused',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported';
END $$;

CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON configapi.events
    FOR EACH STATEMENT EXECUTE FUNCTION configapi.refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON configapi.epochs
    FOR EACH STATEMENT EXECUTE FUNCTION configapi.refuse_change();
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON configapi.schema_versions
    FOR EACH STATEMENT EXECUTE FUNCTION configapi.refuse_change();

-- For people. json rather than jsonb, which refuses a \u0000 that a value may well hold.
CREATE VIEW configapi.events_readable AS
SELECT position,
       split_part(stream, '/', 1) AS namespace,
       substr(stream, strpos(stream, '/') + 1) AS name,
       version,
       timestamptz 'epoch' + recorded_at * interval '1 microsecond' AS recorded_at,
       event_type,
       convert_from(payload, 'UTF8')::json AS payload,
       convert_from(metadata, 'UTF8')::json AS metadata,
       request_id,
       part_index,
       part_size,
       schema_version,
       encode(hash, 'hex') AS hash
FROM configapi.events;
