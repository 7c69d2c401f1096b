-- Scans of the access method hnsw: how far they go, in what order, and from where.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try
SET enable_seqscan = off;
SET max_parallel_workers_per_gather = 0;

-- 2,000 rows on a grid, each distance to an outer point its own
CREATE TABLE item (id integer PRIMARY KEY, kind integer, v vector(2));
INSERT INTO item SELECT i, i % 100, ARRAY[i % 50, i / 50] FROM generate_series(0, 1999) i;
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops);
ANALYZE item;
\set nearest 'FROM item ORDER BY v <-> \'[-0.3,-0.0131]\' LIMIT '
EXPLAIN (COSTS OFF) SELECT id :nearest 5;
SELECT id :nearest 5;

-- how many rows come: LIMIT within and above hnsw.ef_search, in every mode
SHOW hnsw.iterative_scan;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 40) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 41) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET hnsw.iterative_scan = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
SET hnsw.ef_search = 7;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 1000) q;
RESET hnsw.ef_search;
RESET hnsw.iterative_scan;

-- in order, and what exact search says
\set ranked 'FROM (SELECT row_number() OVER () AS n, d FROM (SELECT v <-> \'[-0.3,-0.0131]\' AS d FROM item ORDER BY d LIMIT '
SET enable_indexscan = off;
CREATE TABLE exact AS SELECT n, d :ranked 2000) a) b;
RESET enable_indexscan;
SELECT count(*) FROM exact e JOIN (SELECT n, d :ranked 600) a) b) i USING (n) WHERE e.d = i.d;
SELECT count(*) FROM (SELECT d < lag(d) OVER (ORDER BY n) AS falls :ranked 600) a) b) c WHERE falls;

-- bounds: examined rows, memory
SET hnsw.max_scan_tuples = 100;
SELECT count(*) BETWEEN 40 AND 400 FROM (SELECT id :nearest 10000) q;
SET hnsw.max_scan_tuples = 1;
SELECT count(*) BETWEEN 1 AND 100 FROM (SELECT id :nearest 10000) q;
RESET hnsw.max_scan_tuples;
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
SET hnsw.scan_mem_multiplier = 4;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 10000) q;
RESET hnsw.scan_mem_multiplier;
RESET work_mem;

\set am hnsw
\set with 
\set scans :abs_srcdir '/sql/include/scans.psql'
\i :scans
