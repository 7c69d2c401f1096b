-- Scans of the access method ivfflat: how far they go, in what order, and from where.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try
SET enable_seqscan = off;
SET max_parallel_workers_per_gather = 0;

-- 2,000 rows on a grid, each distance to an outer point its own
CREATE TABLE item (id integer PRIMARY KEY, kind integer, v vector(2));
INSERT INTO item SELECT i, i % 100, ARRAY[i % 50, i / 50] FROM generate_series(0, 1999) i;
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops) WITH (lists = 20);
ANALYZE item;
\set nearest 'FROM item ORDER BY v <-> \'[-0.3,-0.0131]\' LIMIT '
EXPLAIN (COSTS OFF) SELECT id :nearest 5;
SELECT id :nearest 5;

-- how many rows come: of the lists read, and beyond them, in every mode
SHOW ivfflat.iterative_scan;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET ivfflat.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET ivfflat.iterative_scan = off;
SELECT count(*) BETWEEN 20 AND 600, count(*) = count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SET ivfflat.probes = 20;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET ivfflat.probes = 0;
RESET ivfflat.iterative_scan;
-- lists are added before the rows of those read are used up: few are late, and few lists are read
CREATE FUNCTION pg_temp.blocks(query text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ 'Buffers' THEN
			RETURN (SELECT sum(n[1]::int) FROM regexp_matches(line, '(?:hit|read)=(\d+)', 'g') n);
		END IF;
	END LOOP;
END $$;
CREATE TABLE wide (id integer, v vector(64));
INSERT INTO wide SELECT i, random_vector(64, i) FROM generate_series(1, 3000) i;
CREATE INDEX ON wide USING ivfflat (v vector_l2_ops) WITH (lists = 50);
SET ivfflat.probes = 1;
\set wide 'SELECT id FROM wide ORDER BY v <-> (SELECT random_vector(64, 9999)) LIMIT '
SELECT pg_temp.blocks(:'wide' || 100) < pg_temp.blocks(:'wide' || 3000) / 3 AS few;
SELECT count(*), count(DISTINCT id) FROM (:wide 3000) q;
SELECT count(*) FROM (SELECT d < lag(d) OVER (ORDER BY n) AS falls FROM (SELECT row_number() OVER () AS n, d FROM
	(SELECT v <-> (SELECT random_vector(64, 9999)) AS d FROM wide ORDER BY 1 LIMIT 200) a) b) c WHERE falls;
SET ivfflat.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (:wide 3000) q;
DROP TABLE wide;
SET ivfflat.iterative_scan = off;
SET ivfflat.probes = 0;
SELECT count(*) BETWEEN 100 AND 1500, count(*) = count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
RESET ivfflat.iterative_scan;

-- in order, and what exact search says
\set ranked 'FROM (SELECT row_number() OVER () AS n, d FROM (SELECT v <-> \'[-0.3,-0.0131]\' AS d FROM item ORDER BY d LIMIT '
RESET ivfflat.probes;
RESET enable_seqscan;
SET enable_indexscan = off;
CREATE TABLE exact AS SELECT n, d :ranked 2000) a) b;
RESET enable_indexscan;
SET enable_seqscan = off;
SELECT count(*) FROM (SELECT d < lag(d) OVER (ORDER BY n) AS falls :ranked 100) a) b) c WHERE falls;
SET ivfflat.probes = 20;
SELECT count(*) FROM exact e JOIN (SELECT n, d :ranked 2000) a) b) i USING (n) WHERE e.d = i.d;

-- bounds: memory, lists
SET work_mem = '64kB';
SELECT count(*) FROM exact e JOIN (SELECT n, d :ranked 2000) a) b) i USING (n) WHERE e.d = i.d;
SET ivfflat.scan_mem_multiplier = 4;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
RESET ivfflat.scan_mem_multiplier;
RESET work_mem;
RESET ivfflat.probes;
SET ivfflat.max_probes = 1;
SELECT count(*) BETWEEN 20 AND 600, count(*) = count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET ivfflat.probes = 20;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
RESET ivfflat.probes;
RESET ivfflat.max_probes;

SET ivfflat.probes = 20;
\set am ivfflat
\set with 'WITH (lists = 20)'
\set scans :abs_srcdir '/sql/include/scans.psql'
\i :scans
