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
-- filters that few rows pass, by constant and by join
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE kind = 77 ORDER BY v <-> '[0,0]' LIMIT 20;
SELECT count(*), min(kind), max(kind) FROM (SELECT kind FROM item WHERE kind = 77 ORDER BY v <-> '[0,0]' LIMIT 20) q;
SELECT count(*) FROM (SELECT id FROM item WHERE id = 1999 ORDER BY v + '[0,0]' <-> '[0,0]' LIMIT 1) q;
SELECT array_agg(id) FROM (SELECT id FROM item WHERE id % 500 = 3 ORDER BY v <-> '[0,0]' LIMIT 3) q;
SELECT array_agg(id) FROM (SELECT id FROM item WHERE v <-> '[10,10]' < 1.1 ORDER BY v <-> '[10,10.01]' LIMIT 3) q;

-- rescans
EXPLAIN (COSTS OFF) SELECT o.id, n.id FROM item o, LATERAL (SELECT id FROM item i WHERE i.id <> o.id ORDER BY i.v <-> o.v + '[0.2,0.1]' LIMIT 2) n WHERE o.id IN (0, 1025, 1999);
SELECT o.id, n.id FROM item o, LATERAL (SELECT id FROM item i WHERE i.id <> o.id ORDER BY i.v <-> o.v + '[0.2,0.1]' LIMIT 2) n WHERE o.id IN (0, 1025, 1999) ORDER BY 1, n.id;
SELECT n, (SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> ARRAY[n, n]::vector LIMIT n) q) FROM (VALUES (1), (39), (45), (3), (2000), (1)) w(n);

-- cursors
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM item ORDER BY v <-> '[-0.3,-0.0131]';
FETCH 3 FROM near;
MOVE FORWARD 50 FROM near;
FETCH 1 FROM near;
CLOSE near;
DECLARE near SCROLL CURSOR FOR SELECT id FROM item ORDER BY v <-> '[-0.3,-0.0131]' LIMIT 5;
FETCH ALL FROM near;
FETCH BACKWARD 2 FROM near;
COMMIT;

-- prepared, with a generic plan
PREPARE near(vector, integer) AS SELECT id FROM item ORDER BY v <-> $1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near('[1,2]', 3);
EXECUTE near('[1.1,2.01]', 3);
EXECUTE near('[49,39]', 1);
SELECT pg_temp.run('EXECUTE near(''[1,2,3]'', 1)');
RESET plan_cache_mode;

-- a NULL query: all rows in any order; other dimensions: an error
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> NULL::vector LIMIT 5000) q;
SELECT pg_temp.try('(SELECT id FROM item ORDER BY v <-> ''[1,2,3]'' LIMIT 1)');
SELECT pg_temp.try('(SELECT id FROM item ORDER BY v <-> ''[1]'' LIMIT 1)');
-- nothing else than ascending order by the operator uses the index
SET enable_sort = on;
-- no index can answer these, whatever the settings
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <-> '[1,2]' DESC LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <=> '[1,2]' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM item WHERE v <-> '[1,2]' < 1;
SET enable_seqscan = off;
SELECT id FROM item ORDER BY v <-> '[1,2]', id LIMIT 1;
-- the operands may be the other way round
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY '[1,2]' <-> v LIMIT 1;
SELECT id FROM item ORDER BY '[1.1,2.01]' <-> v LIMIT 1;

-- rows that change: updates, deletes, an open cursor's snapshot
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM item ORDER BY v <-> '[-0.3,-0.0131]';
FETCH 2 FROM near;
DELETE FROM item WHERE id BETWEEN 2 AND 30;
INSERT INTO item VALUES (5000, 0, '[-0.3,-0.0131]');
FETCH 2 FROM near;
CLOSE near;
SELECT id :nearest 3;
ROLLBACK;
SELECT id :nearest 3;
UPDATE item SET v = '[100,100]' WHERE id = 0;
SELECT id :nearest 2;
SELECT id FROM item ORDER BY v <-> '[101,100]' LIMIT 1;
DELETE FROM item WHERE id % 2 = 1;
SELECT count(*), min(id % 2), max(id % 2) FROM (SELECT id :nearest 5000) q;
VACUUM item;
SELECT count(*), count(DISTINCT id) FROM (SELECT id :nearest 5000) q;
SELECT id :nearest 3;
DROP TABLE item, exact;

RESET ivfflat.probes;
-- equal vectors
CREATE TABLE same (id integer, v vector(3));
INSERT INTO same SELECT i, ARRAY[1, 2, i / 700] FROM generate_series(0, 1399) i;
CREATE INDEX same_v ON same USING ivfflat (v vector_l2_ops);
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM (SELECT id FROM same ORDER BY v <-> '[1,2,0]' LIMIT 700) q;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM same ORDER BY v <-> '[1,2,0]' LIMIT 5000) q;
INSERT INTO same SELECT i, '[1,2,1]' FROM generate_series(1400, 1599) i;
SELECT count(*), count(DISTINCT id), min(id), max(id) FROM (SELECT id FROM same ORDER BY v <-> '[1,2,1]' LIMIT 900) q;
DELETE FROM same WHERE id % 3 <> 0;
VACUUM same;
SELECT count(*), count(DISTINCT id), max(id % 3) FROM (SELECT id FROM same ORDER BY v <-> '[1,2,0]' LIMIT 5000) q;
DROP TABLE same;

-- zero vectors have no cosine distance, and come last; NULL rows are not indexed
CREATE TABLE zero (id integer, v vector(3));
INSERT INTO zero SELECT i, CASE WHEN i % 10 = 0 THEN '[0,0,0]'::vector WHEN i % 10 <> 1 THEN ARRAY[i, 1, i % 7]::vector END FROM generate_series(1, 300) i;
CREATE INDEX zero_v ON zero USING ivfflat (v vector_cosine_ops);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM zero ORDER BY v <=> '[1,1,1]' LIMIT 1000) q;
SELECT min(n), max(n) FROM (SELECT row_number() OVER () AS n, d FROM (SELECT v <=> '[1,1,1]' AS d FROM zero ORDER BY d LIMIT 1000) q) r WHERE d = 'NaN';
-- all distances to the zero vector are undefined
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM zero ORDER BY v <=> '[0,0,0]' LIMIT 1000) q;
INSERT INTO zero VALUES (1000, '[0,0,0]'), (1001, NULL), (1002, '[5,5,5]');
SELECT id FROM zero ORDER BY v <=> '[1,1,1]' LIMIT 1;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM zero ORDER BY v <=> '[1,1,1]' LIMIT 1000) q;
DROP TABLE zero;

-- empty, one row, all rows gone
CREATE TABLE few (id integer, v halfvec(3));
CREATE INDEX few_v ON few USING ivfflat (v halfvec_l2_ops);
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT id FROM few ORDER BY v <-> NULL::halfvec LIMIT 3;
INSERT INTO few VALUES (1, NULL);
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
INSERT INTO few VALUES (2, '[1,1,1]');
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
DELETE FROM few;
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
VACUUM few;
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
INSERT INTO few VALUES (3, '[2,2,2]'), (4, '[9,9,9]');
SELECT id FROM few ORDER BY v <-> '[1,2,3]' LIMIT 3;
DROP TABLE few;

-- partial, expression, unlogged, temporary, partitioned
CREATE TABLE kinds (id integer, kind integer, a real[]);
INSERT INTO kinds SELECT i, i % 3, ARRAY[i, i % 20] FROM generate_series(1, 900) i;
CREATE INDEX kinds_v ON kinds USING ivfflat ((a::vector(2)) vector_l2_ops) WHERE kind = 1;
EXPLAIN (COSTS OFF) SELECT id FROM kinds WHERE kind = 1 ORDER BY a::vector(2) <-> '[0,1]' LIMIT 2;
SELECT id FROM kinds WHERE kind = 1 ORDER BY a::vector(2) <-> '[0,1]' LIMIT 2;
SELECT count(*) FROM (SELECT id FROM kinds WHERE kind = 1 ORDER BY a::vector(2) <-> '[0,1]' LIMIT 1000) q;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM kinds WHERE kind = 2 ORDER BY a::vector(2) <-> '[0,1]' LIMIT 2;
SET enable_seqscan = off;
DROP TABLE kinds;
CREATE UNLOGGED TABLE kinds (id integer, v sparsevec(5));
INSERT INTO kinds SELECT i, format('{1:%s,4:%s}/5', i, i % 7 + 1)::sparsevec FROM generate_series(1, 300) i;
CREATE INDEX kinds_v ON kinds USING ivfflat (v sparsevec_l1_ops);
INSERT INTO kinds VALUES (301, '{2:1}/5');
SELECT id FROM kinds ORDER BY v <+> '{2:2}/5' LIMIT 2;
DROP TABLE kinds;
CREATE TEMP TABLE kinds (id integer, v bit(9));
INSERT INTO kinds SELECT i, i::bit(9) FROM generate_series(0, 299) i;
CREATE INDEX kinds_v ON kinds USING ivfflat (v bit_hamming_ops);
INSERT INTO kinds VALUES (300, B'111111111');
SELECT id FROM kinds ORDER BY v <~> B'111111111' LIMIT 1;
SELECT pg_temp.try('(SELECT id FROM kinds ORDER BY v <~> B''111'' LIMIT 1)');
DROP TABLE kinds;
CREATE TABLE kinds (id integer, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE kinds_0 PARTITION OF kinds FOR VALUES FROM (0) TO (500);
CREATE TABLE kinds_1 PARTITION OF kinds FOR VALUES FROM (500) TO (1000);
CREATE INDEX ON kinds USING ivfflat (v vector_l2_ops);
INSERT INTO kinds SELECT i, ARRAY[i, i % 30] FROM generate_series(0, 999) i;
EXPLAIN (COSTS OFF) SELECT id FROM kinds ORDER BY v <-> '[498.6,18]' LIMIT 4;
SELECT id FROM kinds ORDER BY v <-> '[498.6,18]' LIMIT 3;
DROP TABLE kinds;

-- planner: small tables and few rows by exact search, large tables by the index
RESET enable_seqscan;
CREATE TABLE plan (id integer PRIMARY KEY, v vector(3));
INSERT INTO plan SELECT i, random_vector(3, i) FROM generate_series(1, 20) i;
CREATE INDEX plan_v ON plan USING ivfflat (v vector_l2_ops) WITH (lists = 20);
ANALYZE plan;
EXPLAIN (COSTS OFF) SELECT id FROM plan ORDER BY v <-> '[1,2,3]' LIMIT 1;
INSERT INTO plan SELECT i, random_vector(3, i) FROM generate_series(21, 10000) i;
ANALYZE plan;
EXPLAIN (COSTS OFF) SELECT id FROM plan ORDER BY v <-> '[1,2,3]' LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM plan WHERE id < 30 ORDER BY v <-> '[1,2,3]' LIMIT 10;
-- without LIMIT all is read: by sorting
EXPLAIN (COSTS OFF) SELECT id FROM plan ORDER BY v <-> '[1,2,3]';
DROP TABLE plan;
