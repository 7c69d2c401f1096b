-- Which plan is chosen: by the size of tables and partitions, by LIMIT, filter
-- and settings.
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;

-- kinds of nodes of a plan, and how many of each
CREATE FUNCTION pg_temp.nodes(query text) RETURNS text AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (WITH RECURSIVE n(node) AS (
			SELECT plan->0->'Plan'
			UNION ALL SELECT json_array_elements(node->'Plans') FROM n)
		SELECT string_agg(kind || ' ' || times, ', ' ORDER BY kind COLLATE "C") FROM (
			SELECT coalesce(node->>'Custom Plan Provider', node->>'Node Type') AS kind, count(*) AS times
			FROM n GROUP BY 1) k);
END $$ LANGUAGE plpgsql;

-- partitions with an index each, of long rows
CREATE TABLE many (id integer, part integer, v vector(600)) PARTITION BY LIST (part);
SELECT format('CREATE TABLE many_%s PARTITION OF many FOR VALUES IN (%1$s)', g) FROM generate_series(0, 63) g \gexec
INSERT INTO many SELECT g, g % 64, random_vector(600, g) FROM generate_series(1, 64 * 40) g;
CREATE INDEX ON many USING hnsw (v vector_l2_ops);
ANALYZE many;
\set nearest 'SELECT id FROM many ORDER BY v <-> random_vector(600, 70001) LIMIT 10'
SELECT pg_temp.nodes(:'nearest');
SELECT pg_temp.nodes('SELECT id FROM many WHERE part IN (3, 5, 7) ORDER BY v <-> random_vector(600, 70001) LIMIT 10');
CREATE TEMP TABLE found AS :nearest;
SET enable_indexscan = off;
CREATE TEMP TABLE exact AS :nearest;
RESET enable_indexscan;
SELECT count(*) >= 9 AS recall FROM found JOIN exact USING (id);
-- no partition's own rows are lost, however many are asked for
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM many ORDER BY v <-> random_vector(600, 70002) LIMIT 2000) s;
RESET enable_seqscan;
DROP TABLE many;

-- partitions too small for their indexes to pay
CREATE TABLE many (id integer, part integer, v vector(8)) PARTITION BY LIST (part);
SELECT format('CREATE TABLE many_%s PARTITION OF many FOR VALUES IN (%1$s)', g) FROM generate_series(0, 15) g \gexec
INSERT INTO many SELECT g, g % 16, random_vector(8, g) FROM generate_series(1, 16 * 10) g;
CREATE INDEX ON many USING hnsw (v vector_l2_ops);
ANALYZE many;
SELECT pg_temp.nodes('SELECT id FROM many ORDER BY v <-> random_vector(8, 70001) LIMIT 10') LIKE '%Index Scan%' AS indexes;
DROP TABLE many;

-- what hnsw.max_scan_tuples lets the index return must suffice for LIMIT and filter
CREATE TABLE plan (id integer PRIMARY KEY, kind integer, v vector(64));
INSERT INTO plan SELECT g, g % 10, random_vector(64, g) FROM generate_series(1, 4000) g;
CREATE INDEX plan_v ON plan USING hnsw (v vector_l2_ops);
CREATE INDEX plan_some ON plan USING hnsw (v vector_cosine_ops) WHERE kind = 3;
ANALYZE plan;
CREATE FUNCTION pg_temp.by_index(query text) RETURNS boolean AS $$
	SELECT pg_temp.nodes(query) LIKE '%Index Scan 1%';
$$ LANGUAGE sql;
\set order 'ORDER BY v <-> random_vector(64, 70001)'
SET hnsw.max_scan_tuples = 50;
SELECT n AS rows, pg_temp.by_index(format('SELECT id FROM plan %s LIMIT %s', :'order', n)) AS all_rows,
	pg_temp.by_index(format('SELECT id FROM plan WHERE kind = 3 %s LIMIT %s', :'order', n)) AS of_a_kind,
	pg_temp.by_index(format('SELECT id FROM plan WHERE kind = 3 %s LIMIT %s', replace(:'order', '<->', '<=>'), n)) AS partial
FROM (VALUES (4), (20), (45), (60)) w(n);
-- where there is no other way, it is used all the same
SET enable_seqscan = off;
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 60', :'order'));
RESET enable_seqscan;
-- without iterative scans, a LIMIT above ef_search is a wish for fewer rows
SET hnsw.iterative_scan = off;
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 60', :'order'));
RESET hnsw.iterative_scan;
RESET hnsw.max_scan_tuples;
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 52', :'order'));
-- for more, a search as wide as it takes would cost more than to read everything
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 60', :'order'));
SELECT pg_temp.by_index(format('SELECT id FROM plan %s', :'order'));
-- few rows pass: the rows first
SELECT pg_temp.nodes(format('SELECT id FROM plan WHERE id BETWEEN 7 AND 30 %s LIMIT 3', :'order'));
-- offsets count
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 5 OFFSET 40', :'order')),
	pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 5 OFFSET 3900', :'order'));
-- nothing is known of the size: as the settings say
SET hnsw.max_scan_tuples = 50;
PREPARE near(vector, integer) AS SELECT id FROM plan ORDER BY v <-> $1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near(random_vector(64, 1), 3);
RESET plan_cache_mode;
RESET hnsw.max_scan_tuples;
-- costs are numbers, whatever the settings
SET hnsw.ef_search = 1000;
SET hnsw.max_scan_tuples = 1;
SET effective_cache_size = '8kB';
SET enable_seqscan = off;
SELECT pg_temp.by_index(format('SELECT id FROM plan %s LIMIT 3', :'order'));
RESET ALL;
DROP TABLE plan;
