-- What the servers need at run time, and no more. Run once, after `configapi migrate` or `configapi
-- restore-backup`, by the role that made the tables. Replace the two names: a command server writes, a query server only reads.
--
-- A command server that may also create the schema in its database needs none of this; in
-- production let `configapi migrate` run under a role of its own instead.

GRANT USAGE ON SCHEMA configapi TO configapi_command, configapi_query;
GRANT SELECT ON ALL TABLES IN SCHEMA configapi TO configapi_command, configapi_query;
GRANT INSERT ON configapi.events, configapi.epochs TO configapi_command;
