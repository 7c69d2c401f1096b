-- Filter columns of the access method hnsw.
SET jit = off;
-- the other access method's tables have the same names
CREATE SCHEMA hnsw_filter;
SET search_path = hnsw_filter, public;
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try
\set am hnsw
\set body :abs_srcdir '/sql/include/filter.psql'
\i :body
SELECT * FROM vecext_index_check('filtered_idx', true);
RESET enable_seqscan;
RESET enable_sort;

-- rows that share a node and differ in filter columns; updates of those alone; vacuum
CREATE TABLE mixed (id integer, v vector(3), tenant integer, tag text);
INSERT INTO mixed SELECT i, ARRAY[i % 40, i % 40 / 7, 1], i / 40, CASE WHEN i % 3 > 0 THEN 't' || i % 5 END FROM generate_series(0, 1999) i;
SET max_parallel_maintenance_workers = 0;
CREATE INDEX mixed_idx ON mixed USING hnsw (v vector_l2_ops, tenant, tag);
ALTER TABLE mixed SET (autovacuum_enabled = off);
CREATE FUNCTION stat(text) RETURNS double precision LANGUAGE sql AS $$ SELECT value FROM vecext_index_stats('mixed_idx') WHERE name = $1 $$;
-- answers of the index and of the table, over many conditions; the number that differ
CREATE FUNCTION wrong(conditions text[]) RETURNS TABLE (condition text, by_index integer[], by_table integer[]) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH condition IN ARRAY conditions LOOP
		SET enable_seqscan = off; SET enable_indexscan = on;
		EXECUTE format('SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM mixed WHERE %s ORDER BY v <-> ''[20,2,1]'' LIMIT 5000) q', condition) INTO by_index;
		SET enable_indexscan = off; SET enable_seqscan = on;
		EXECUTE format('SELECT array_agg(id ORDER BY id) FROM mixed WHERE %s', condition) INTO by_table;
		IF by_index IS DISTINCT FROM by_table THEN RETURN NEXT; END IF;
	END LOOP;
	RESET enable_seqscan; RESET enable_indexscan;
END $$;
SELECT array_agg(c) AS conditions FROM (
	SELECT format('tenant %s %s', op, n) c FROM unnest('{=,<,>=}'::text[]) op, generate_series(-1, 50, 7) n
	UNION ALL SELECT format('tenant = %s AND tag = ''t%s''', n, n % 6) FROM generate_series(0, 49, 5) n
	UNION ALL SELECT 'tag IS NULL' UNION ALL SELECT 'tag IS NOT NULL AND tenant < 4' UNION ALL SELECT 'tenant IS NULL' UNION ALL SELECT 'tag IN (''t1'', ''t4'')'
	UNION ALL SELECT 'true' UNION ALL SELECT 'tenant = 3 AND tag < ''t3''') q \gset
\set check 'SELECT stat(\'nodes live\') AS nodes, stat(\'nodes mixed\') AS mixed, stat(\'rows\') AS rows, (SELECT count(*) FROM wrong(' :'conditions' ')) AS wrong, (SELECT count(*) FROM vecext_index_check(\'mixed_idx\', true)) AS findings'
:check;
-- a filter column alone: no new node
UPDATE mixed SET tenant = tenant + 100 WHERE id % 4 = 0;
:check;
UPDATE mixed SET tag = NULL WHERE id % 7 = 0;
UPDATE mixed SET tenant = NULL WHERE id % 11 = 0;
:check;
VACUUM mixed;
:check;
-- rows of a node that become alike
DELETE FROM mixed WHERE tenant IS DISTINCT FROM 3;
VACUUM mixed;
:check;
UPDATE mixed SET tag = 'one';
VACUUM mixed;
:check;
INSERT INTO mixed SELECT i, ARRAY[i % 40, i % 40 / 7, 1], 7, 'x' FROM generate_series(3000, 3399) i;
:check;
REINDEX INDEX mixed_idx;
:check;
-- in a build without memory, and by workers
SET maintenance_work_mem = '1MB';
SET client_min_messages = warning;
REINDEX INDEX mixed_idx;
:check;
RESET maintenance_work_mem;
SET max_parallel_maintenance_workers = 2;
SET min_parallel_table_scan_size = 0;
REINDEX INDEX mixed_idx;
SELECT count(*) FROM vecext_index_check('mixed_idx', true);
RESET max_parallel_maintenance_workers;

-- a graph that is searched: the nearest rows of a part of the table, of the query's cluster or another
CREATE TABLE many AS SELECT i AS id, i % 1000 AS part, i % 10 AS cluster,
	(SELECT array_agg((i % 10 = d)::int * 3 + hashint8(i * 20 + d) / 4e9)::vector FROM generate_series(0, 19) d) AS v
	FROM generate_series(1, 8000) i;
ALTER TABLE many ALTER v TYPE vector(20);
CREATE INDEX many_idx ON many USING hnsw (v vector_l2_ops, part, cluster);
ANALYZE many;
CREATE FUNCTION recall(condition text, OUT filled boolean, OUT near boolean) LANGUAGE plpgsql AS $$
DECLARE
	q vector;
	by_index integer[];
	by_table integer[];
	hits integer := 0;
BEGIN
	filled := true;
	FOR q IN SELECT v FROM many WHERE id % 199 = 0 LOOP
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_indexscan = on;
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM many WHERE %s ORDER BY v <-> $1 LIMIT 10) q', condition) INTO by_index USING q;
		SET LOCAL enable_indexscan = off;
		SET LOCAL enable_seqscan = on;
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM many WHERE %s ORDER BY v <-> $1 LIMIT 10) q', condition) INTO by_table USING q;
		filled := filled AND cardinality(by_index) = cardinality(by_table);
		hits := hits + (SELECT count(*) FROM unnest(by_index) i WHERE i = ANY (by_table)) * 10 / cardinality(by_table);
	END LOOP;
	near := hits >= 0.95 * 10 * (SELECT count(*) FROM many WHERE id % 199 = 0);
END $$;
SELECT c, r.* FROM unnest('{true,part < 500,part < 100,part < 10,part = 77,cluster = 0,cluster = 7 AND part < 300,cluster IN (2\,3\,4),cluster > 8}'::text[]) c, recall(c) r;
SET enable_seqscan = off;
SELECT pg_temp.plan_of('SELECT id FROM many WHERE part < 10 AND cluster = 3 ORDER BY v <-> (SELECT v FROM many WHERE id = 1) LIMIT 10');
-- no order, no index scan; NULLs of the vector are not in the index
SELECT pg_temp.plan_of('SELECT count(*) FROM many WHERE part = 3');
SELECT pg_temp.plan_of('SELECT id FROM many WHERE v IS NULL AND part = 3 ORDER BY v <-> (SELECT v FROM many WHERE id = 1)');
RESET enable_seqscan;
-- the vector comes first, and only it
CREATE INDEX ON many USING hnsw (part, v vector_l2_ops);
CREATE INDEX ON many USING hnsw (v vector_l2_ops, v vector_l2_ops);
SELECT name, value FROM vecext_index_stats('many_idx') WHERE name IN ('format version', 'filter columns', 'nodes mixed') ORDER BY name;
-- values whose codes the build has rounded twice: an update finds their nodes all the same
CREATE TABLE coded AS SELECT i AS id, i % 10 AS k, (SELECT array_agg(hashint8(i * 64 + d) / 4e9)::vector FROM generate_series(0, 63) d) AS v
	FROM generate_series(1, 300) i;
ALTER TABLE coded ALTER v TYPE vector(64);
CREATE INDEX coded_idx ON coded USING hnsw (v vector_cosine_ops, k) WITH (nav_bits = 4);
UPDATE coded SET k = k + 1;
SELECT name, value FROM vecext_index_stats('coded_idx') WHERE name IN ('nodes live', 'nodes mixed', 'rows') ORDER BY name;
VACUUM coded;
SELECT name, value FROM vecext_index_stats('coded_idx') WHERE name IN ('nodes live', 'nodes mixed', 'rows') ORDER BY name;
SELECT * FROM vecext_index_check('coded_idx', true);
