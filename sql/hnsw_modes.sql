-- Scans under every mode and memory: completeness, order, bounds; cursors, row
-- locks, isolation levels, strange queries.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try
SET enable_seqscan = off;
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;

-- compact codes with and without bounds, exact codes with rows over more than a page
CREATE TABLE item (id integer PRIMARY KEY, kind integer, v vector(24), l vector(2100));
INSERT INTO item SELECT i, i % 50, random_vector(24, i % 1400), CASE WHEN i % 15 = 0 THEN random_vector(2100, i) END FROM generate_series(1, 1500) i;
CREATE INDEX item_full ON item USING hnsw (v vector_l2_ops);
CREATE INDEX item_heap ON item USING hnsw (v vector_ip_ops) WITH (refine = heap, nav_bits = 4);
CREATE INDEX item_long ON item USING hnsw (l vector_l1_ops);
ANALYZE item;

-- rows, rows more than once, and whether the distance steps back
CREATE FUNCTION pg_temp.scan(query text, memory text DEFAULT '4MB', multiplier float8 DEFAULT 1, mode text DEFAULT 'strict_order', most integer DEFAULT 20000,
	OUT n bigint, OUT twice bigint, OUT back boolean) AS $$
BEGIN
	PERFORM set_config('work_mem', memory, true), set_config('hnsw.scan_mem_multiplier', multiplier::text, true),
		set_config('hnsw.iterative_scan', mode, true), set_config('hnsw.max_scan_tuples', most::text, true);
	EXECUTE 'SELECT count(*), count(*) - count(DISTINCT id), coalesce(bool_or(d < before), false)
		FROM (SELECT id, d, lag(d) OVER (ORDER BY place) AS before
			FROM (SELECT *, row_number() OVER () AS place FROM (' || query || ') a) b) c' INTO n, twice, back;
END $$ LANGUAGE plpgsql;
\set l2 'SELECT id, v <-> random_vector(24, 4444) AS d FROM item '

-- however little memory: all rows, once; printed are those that differ
SELECT count(*) AS scans, count(*) FILTER (WHERE n = q.rows) AS complete, count(*) FILTER (WHERE twice = 0) AS once
FROM (VALUES ('SELECT id, v <-> random_vector(24, 5555) AS d FROM item ORDER BY d', 1500),
		('SELECT id, v <#> random_vector(24, 5555) AS d FROM item ORDER BY d', 1500),
		('SELECT id, v <-> random_vector(24, 5555) AS d FROM item WHERE kind = 7 ORDER BY d LIMIT 25', 25),
		('SELECT id, l <+> random_vector(2100, 5555) AS d FROM item WHERE l IS NOT NULL ORDER BY d', 100)) q(query, rows),
	(VALUES ('64kB'), ('100kB'), ('1MB'), ('64MB')) w(memory), (VALUES (1), (1.5), (1000)) m(multiplier),
	(VALUES ('strict_order'), ('relaxed_order')) o(mode), pg_temp.scan(query, memory, multiplier, mode) s;
-- with enough of it in order to the end, or nearly
SELECT * FROM pg_temp.scan(:'l2' || 'ORDER BY d LIMIT 1000', '64MB', 1000);

-- modes: what comes with the first batch, what with a filter
SET hnsw.ef_search = 10;
SELECT mode, wanted, n >= wanted AS filled, twice, back AND mode <> 'relaxed_order' AS back
FROM (VALUES (1), (5), (100)) w(wanted), (VALUES ('strict_order'), ('relaxed_order'), ('off')) m(mode),
	pg_temp.scan(format('%s WHERE kind %% 10 = 3 ORDER BY d LIMIT %s', :'l2', wanted), mode => mode) s ORDER BY 1, 2;

-- the most rows a scan visits: those found are in order and once
SELECT most, n BETWEEN 10 AND 2 * most + 100 AS bounded, twice, back
FROM (VALUES (1), (10), (50), (200), (700)) w(most), pg_temp.scan(:'l2' || 'ORDER BY d', most => most) s ORDER BY 1;
SELECT most, n <= 2 + most / 15 AS bounded, twice, back
FROM (VALUES (1), (50), (700)) w(most), pg_temp.scan(:'l2' || 'WHERE kind = 3 ORDER BY d', most => most) s ORDER BY 1;
RESET hnsw.ef_search;

-- LIMIT 0, OFFSET, a LIMIT that is NULL or changes
\set order 'FROM item ORDER BY v <-> random_vector(24, 3333)'
SELECT count(*) FROM (SELECT id :order LIMIT 0) s;
SELECT count(*) FROM (SELECT id :order LIMIT NULL) s;
SELECT count(*), count(DISTINCT id) FROM ((SELECT id :order LIMIT 50) UNION ALL (SELECT id :order LIMIT 50 OFFSET 50)) s;
SELECT count(*) FROM (SELECT id :order LIMIT 10 OFFSET 1495) s;
SELECT count(*) FROM (SELECT id :order LIMIT 10 OFFSET 5000) s;
SELECT count(*) FROM (SELECT id :order FETCH FIRST 3 ROWS WITH TIES) s;
SELECT pg_temp.code('(SELECT id FROM item ORDER BY v <-> random_vector(24, 1) LIMIT -1)');

-- by how many rows a cursor moves; NULL: to the end
CREATE FUNCTION pg_temp.move(c refcursor, steps integer) RETURNS integer AS $$
DECLARE
	n integer;
BEGIN
	IF steps IS NULL THEN
		MOVE FORWARD ALL FROM c;
	ELSE
		MOVE FORWARD steps FROM c;
	END IF;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$ LANGUAGE plpgsql;

-- cursors: WITH HOLD, SCROLL, NO SCROLL; moved, left open, after changes
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id :order LIMIT 300;
DECLARE forth NO SCROLL CURSOR FOR SELECT id :order;
DECLARE back SCROLL CURSOR FOR SELECT id :order;
SELECT pg_temp.move('forth', 700);
SELECT pg_temp.move('back', 100);
SELECT pg_temp.move('back', -99);
CREATE TEMP TABLE seen AS SELECT id :order LIMIT 2;
DELETE FROM item WHERE id IN (SELECT id FROM seen);
SELECT pg_temp.move('forth', NULL);
SELECT pg_temp.code('pg_temp.move(''forth'', -1)');
SELECT pg_temp.move('back', NULL);
COMMIT;
SELECT pg_temp.move('held', 10);
SELECT pg_temp.move('held', NULL);
CLOSE held;
SELECT count(*) FROM (SELECT id :order) s JOIN seen USING (id);
INSERT INTO item SELECT i, 0, random_vector(24, i) FROM generate_series(2001, 2002) i;

-- an open scan survives the vacuum of what it has not read, and its own session's changes
BEGIN;
DECLARE near CURSOR FOR SELECT id :order;
SELECT pg_temp.move('near', 5);
UPDATE item SET kind = kind + 1 WHERE id % 3 = 0;
UPDATE item SET v = v + v WHERE id % 7 = 0;
SELECT pg_temp.move('near', NULL);
COMMIT;
SELECT n, twice FROM pg_temp.scan(:'l2' || 'ORDER BY d');
VACUUM item;
SELECT n, twice FROM pg_temp.scan(:'l2' || 'ORDER BY d');

-- row locks
BEGIN;
SELECT count(*) FROM (SELECT id :order LIMIT 20 FOR UPDATE) s;
SELECT count(*) FROM (SELECT id :order LIMIT 20 FOR KEY SHARE SKIP LOCKED) s;
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <#> random_vector(24, 3333) LIMIT 20 FOR NO KEY UPDATE NOWAIT) s;
ROLLBACK;

-- rescans with NULL, another dimension, more and fewer rows
SELECT n, (SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> q LIMIT n) s)
FROM (VALUES (3, random_vector(24, 1)), (100, NULL), (0, random_vector(24, 2)), (1400, random_vector(24, 3)), (7, random_vector(24, 4))) w(n, q);
SELECT pg_temp.try('(SELECT count(*) FROM (VALUES (random_vector(24, 1)), (NULL), (random_vector(23, 1))) w(q), LATERAL (SELECT id FROM item ORDER BY v <-> q LIMIT 3) s)');
SELECT pg_temp.try('(SELECT count(*) FROM (VALUES (random_vector(2100, 1)), (random_vector(24, 1))) w(q), LATERAL (SELECT id FROM item ORDER BY l <+> q LIMIT 3) s)');
SELECT o.id, array_agg(n.id = o.id ORDER BY d) FROM item o, LATERAL (SELECT id, i.v <-> o.v AS d FROM item i ORDER BY i.v <-> o.v LIMIT 2) n WHERE o.id IN (500, 505, 510) GROUP BY o.id ORDER BY 1;
-- merge of the same index twice, semi and anti joins above it
SELECT count(*) FROM (SELECT id FROM item i WHERE EXISTS (SELECT 1 FROM item k WHERE k.id = i.id + 1) ORDER BY v <-> random_vector(24, 8) LIMIT 40) s;
SELECT count(*), count(DISTINCT id) FROM ((SELECT id, v <-> random_vector(24, 8) AS d FROM item ORDER BY d LIMIT 30) UNION ALL (SELECT id, v <-> random_vector(24, 8) FROM item ORDER BY 2 LIMIT 30)) s;

-- isolation levels see their snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM (SELECT id :order LIMIT 5000) s;
INSERT INTO item SELECT i, 0, random_vector(24, i) FROM generate_series(3001, 3010) i;
SELECT count(*) FROM (SELECT id :order LIMIT 5000) s;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT count(*) FROM (SELECT id :order LIMIT 5000) s;
COMMIT;
SELECT * FROM (VALUES ('item_full'), ('item_heap'), ('item_long')) i(name), vecext_index_check(i.name::regclass, true) c WHERE invariant <> 'H10';
DROP TABLE item;

-- codes are of rows less their mean and scaled, records are not: the checker compares them where that matters
CREATE TABLE item (id integer, v vector(8));
INSERT INTO item SELECT i, random_vector(8, i) * array_fill(0.001::real, ARRAY[8])::vector FROM generate_series(1, 300) i;
CREATE INDEX item_l2 ON item USING hnsw (v vector_l2_ops) WITH (refine = int8, nav_bits = 32);
CREATE INDEX item_cos ON item USING hnsw (v vector_cosine_ops) WITH (refine = int8, nav_bits = 32);
CREATE INDEX item_ip ON item USING hnsw (v vector_ip_ops) WITH (refine = half, nav_bits = 8);
SELECT i, c.* FROM unnest(ARRAY['item_l2', 'item_cos', 'item_ip']) i, vecext_index_check(i::regclass, true) c;
DROP TABLE item;
