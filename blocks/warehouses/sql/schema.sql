-- Which migrations were applied.

-- query: read_migrations
-- Reads which migrations were applied.
SELECT version FROM schema_migrations

-- query: record_migration
-- Notes that a migration was applied.
INSERT INTO schema_migrations (version, applied_at)
SELECT :version, {now} FROM (SELECT 1 AS one) n
WHERE NOT EXISTS (SELECT 1 FROM schema_migrations WHERE version = :version)
