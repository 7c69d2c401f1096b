-- VectorTopK: ORDER BY column <distance> value LIMIT k in one pass, exactly.

-- What a plan consists of: one line a node, without details that depend on the
-- server's version.
CREATE FUNCTION pg_temp.nodes(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^\S' OR line ~ '->' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;

-- Runs a query of one column with VectorTopK and without: "same" if the rows
-- are, and which of the two plans was taken where it may be.
CREATE FUNCTION pg_temp.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	fast text[];
	slow text[];
	used boolean;
BEGIN
	SET LOCAL vecext.enable_topk = on;
	SELECT bool_or(n ~ 'VectorTopK') INTO used FROM pg_temp.nodes(query) n;
	EXECUTE format('SELECT array_agg(r::text) FROM (%s) q(r)', query) INTO fast;
	SET LOCAL vecext.enable_topk = off;
	IF EXISTS (SELECT FROM pg_temp.nodes(query) n WHERE n ~ 'VectorTopK') THEN
		RETURN 'not switched off';
	END IF;
	EXECUTE format('SELECT array_agg(r::text) FROM (%s) q(r)', query) INTO slow;
	SET LOCAL vecext.enable_topk = on;
	RETURN CASE WHEN used THEN 'VectorTopK' ELSE 'other plan' END || ', ' ||
		CASE WHEN fast IS NOT DISTINCT FROM slow THEN 'same, ' || coalesce(cardinality(fast), 0)
		ELSE format('DIFFERENT: %s, not %s', fast, slow) END;
END $$;

-- v before other columns dropped and added; ties (13 values of a coordinate),
-- NULLs, zero vectors, deleted and updated rows
CREATE TABLE topk (
	gone int, note text, id int, gone_too text,
	v vector(3), h halfvec(3), s sparsevec(5), b bit(9));
INSERT INTO topk
SELECT i, CASE WHEN i % 3 = 0 THEN repeat('n', i % 40) END, i, 'x', v, v::halfvec,
	format('{1:%s,3:%s}/5', i % 11 + 1, i * 7 % 13 + 1)::sparsevec, i::bit(9)
FROM generate_series(1, 1000) i,
	LATERAL (SELECT CASE WHEN i % 37 <> 0 THEN format('[%s,%s,%s]',
		i % 50, i * 7919 % 13, i * 31 % 7)::vector END v) e;
UPDATE topk SET v = '[0,0,0]', h = '[0,0,0]', s = '{}/5' WHERE id % 101 = 0;
ALTER TABLE topk DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE topk ADD COLUMN late int DEFAULT 5;
DELETE FROM topk WHERE id % 10 = 3;
UPDATE topk SET note = 'new' WHERE id % 10 = 4;
ANALYZE topk;

EXPLAIN (COSTS OFF) SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM topk WHERE id < 500 ORDER BY '[1,2,3]' <=> v LIMIT 5;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 5;

-- every type and operator, either way round
SELECT op, pg_temp.compare(format('SELECT %s %s %s FROM topk ORDER BY %1$s %2$s %3$s LIMIT 60',
								  CASE WHEN turned THEN val ELSE col END, op,
								  CASE WHEN turned THEN col ELSE val END))
FROM (VALUES ('v', '<->', $$'[3,4,5]'$$), ('v', '<#>', $$'[3,4,5]'$$),
	('v', '<=>', $$'[3,4,5]'$$), ('v', '<+>', $$'[3,4,5]'$$),
	('h', '<->', $$'[3,4,5]'$$), ('h', '<#>', $$'[3,4,5]'$$),
	('h', '<=>', $$'[3,4,5]'$$), ('h', '<+>', $$'[3,4,5]'$$),
	('s', '<->', $$'{1:3,2:4}/5'$$), ('s', '<#>', $$'{1:3,2:4}/5'$$),
	('s', '<=>', $$'{1:3,2:4}/5'$$), ('s', '<+>', $$'{1:3,2:4}/5'$$),
	('b', '<~>', $$B'101010101'$$), ('b', '<%>', $$B'101010101'$$)) o(col, op, val),
	(VALUES (false), (true)) t(turned);

-- shapes of queries
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 1'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 0'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 5000'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 7 OFFSET 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 7 OFFSET 5000'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 FETCH FIRST (3 + 4) ROWS ONLY'),
	-- NaN of zero vectors before NULL, both last
	('SELECT v <=> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 900'),
	('SELECT v <=> ''[0,0,0]'' FROM topk ORDER BY 1 LIMIT 900'),
	('SELECT v <-> NULL FROM topk ORDER BY v <-> NULL::vector LIMIT 5'),
	('SELECT v <-> (SELECT NULL::vector OFFSET 0) FROM topk ORDER BY 1 LIMIT 5'),
	-- filters
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE id % 5 = 2 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE note LIKE ''n%'' AND late = 5 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE v <-> ''[1,2,3]'' > 2 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE v IS NULL ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE id IN (SELECT i * 3 FROM generate_series(1, 90) i OFFSET 0) OR late = 4 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE current_setting(''port'') <> '''' ORDER BY 1 LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk WHERE id < 0 ORDER BY 1 LIMIT 30'),
	-- the result's columns
	('SELECT (v <-> ''[1,2,3]'', tableoid::regclass, late, (t).h <-> v::halfvec) FROM topk t ORDER BY v <-> ''[1,2,3]'' LIMIT 1'),
	('SELECT ctid FROM topk WHERE id IN (5, 6, 7) ORDER BY v <-> ''[1,2,3]'' LIMIT 3'),
	('SELECT note FROM topk WHERE id IN (5, 6, 7) ORDER BY v <-> ''[1,2,3]'' LIMIT 3'),
	('SELECT count(*) FROM (SELECT 1 FROM topk ORDER BY v <-> ''[1,2,3]'' LIMIT 5) q'),
	-- where the value comes from
	('SELECT v <-> (SELECT v FROM topk WHERE id = 7) FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT v <-> (ARRAY[1, late_, 3])::vector FROM topk, (SELECT 2) l(late_) ORDER BY 1 LIMIT 5'),
	-- inside others
	('WITH w AS MATERIALIZED (SELECT v <-> ''[1,2,3]'' d FROM topk ORDER BY 1 LIMIT 9) SELECT d FROM w'),
	('(SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 9) UNION ALL (SELECT v <-> ''[3,2,1]'' FROM topk ORDER BY 1 LIMIT 9)'),
	('SELECT d FROM (VALUES (1), (2), (3)) q(i), LATERAL (SELECT v <-> format(''[%s,2,3]'', i)::vector d FROM topk ORDER BY 1 LIMIT 4) n'),
	('SELECT (SELECT n.v <-> t.v FROM topk n WHERE n.id <> t.id ORDER BY n.v <-> t.v LIMIT 1) FROM topk t WHERE id < 40'),
	('SELECT d FROM (VALUES (1), (2)) q(i), LATERAL (SELECT v <-> ''[1,2,3]'' d FROM topk ORDER BY 1 LIMIT 4) n')
) s(q);

-- left to others
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 OFFSET 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT ALL'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT (SELECT 5 OFFSET 0)'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 20000'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 DESC LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 NULLS FIRST LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 FETCH FIRST 5 ROWS WITH TIES'),
	('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 5 FOR UPDATE'),
	('SELECT id FROM topk ORDER BY v <-> ''[1,2,3]'', id LIMIT 5'),
	('SELECT l2_distance(v, ''[1,2,3]'') FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT -(v <-> ''[1,2,3]'') FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT v <-> v FROM topk WHERE v IS NOT NULL ORDER BY 1 LIMIT 5'),
	('SELECT v::halfvec <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT v <-> ARRAY[1, 2, 3 + random() * 0]::vector FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT DISTINCT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM topk GROUP BY 1 ORDER BY 1 LIMIT 5'),
	('SELECT rank() OVER (ORDER BY v <-> ''[1,2,3]'') FROM topk ORDER BY v <-> ''[1,2,3]'' LIMIT 5'),
	('SELECT generate_series(1, id % 3) FROM topk WHERE id IN (4, 5) ORDER BY v <-> ''[1,2,3]'' LIMIT 3'),
	('SELECT a.v <-> ''[1,2,3]'' FROM topk a JOIN topk b USING (id) ORDER BY 1 LIMIT 5'),
	('SELECT a.v <-> b.v FROM topk a, topk b WHERE b.id = 5 ORDER BY 1 LIMIT 5'),
	('SELECT max(v <-> ''[1,2,3]'') FROM topk'),
	('SELECT min(v <-> ''[1,2,3]'') FROM topk'),
	('SELECT v <-> ''[1,2,3]'' FROM topk TABLESAMPLE system (100) ORDER BY 1 LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM (SELECT v FROM topk OFFSET 0) t ORDER BY 1 LIMIT 5')
) s(q);
BEGIN;
SET LOCAL work_mem = '64kB';
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 4096');
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 LIMIT 4097');
COMMIT;

-- equal rows: those that come first in the table
SELECT array_agg(id) = (SELECT array_agg(id) FROM (
		SELECT id FROM topk ORDER BY b <~> B'101010101', ctid LIMIT 100) q)
FROM (SELECT id FROM topk ORDER BY b <~> B'101010101' LIMIT 100) q;

-- DESC by another name
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM topk ORDER BY 1 USING > LIMIT 5');

-- errors come from the rows that pass the filter, as ever
CREATE TABLE topk_mixed (id int, v vector);
INSERT INTO topk_mixed VALUES (1, '[1,2]'), (2, '[1,2,3]'), (3, NULL), (4, '[3,4]');
SELECT id FROM topk_mixed WHERE id <> 2 ORDER BY v <-> '[1,1]' LIMIT 3;
SELECT id FROM topk_mixed ORDER BY v <-> '[1,1]' LIMIT 3;
SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 5 OFFSET -1;

-- an index scan switched on by force is not outbid
CREATE INDEX topk_id ON topk (id);
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT bool_or(n ~ 'VectorTopK') AS topk
FROM pg_temp.nodes('SELECT id FROM topk WHERE id < 900 ORDER BY v <-> ''[1,2,3]'' LIMIT 5') n;
COMMIT;
DROP INDEX topk_id;

-- prepared, the value and k as parameters
PREPARE near(vector, int) AS SELECT v <-> $1 AS d FROM topk WHERE v IS NOT NULL ORDER BY 1 LIMIT $2;
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE near('[1,2,3]', 3);
EXECUTE near('[1,2,3]', 3);
EXECUTE near('[3,2,1]', 1);
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.nodes($$EXECUTE near('[1,2,3]', 3)$$);
EXECUTE near('[1,2,3]', 3);
PREPARE near3(vector) AS SELECT v <-> $1 AS d FROM topk WHERE v IS NOT NULL ORDER BY 1 LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE near3('[1,2,3]');
EXECUTE near3('[1,2,3]');
EXECUTE near3('[3,2,1]');
RESET plan_cache_mode;

-- cursors, both ways
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, v <-> '[1,2,3]' AS d FROM topk WHERE id < 12 ORDER BY 2 LIMIT 4;
FETCH 2 FROM c;
FETCH 9 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 1 FROM c;
-- rows deleted meanwhile belong to its snapshot
DELETE FROM topk WHERE id = 8;
FETCH ALL FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM topk WHERE id < 12 ORDER BY v <-> '[1,2,3]' LIMIT 4;
FETCH 2 FROM c;
UPDATE topk SET note = 'current' WHERE CURRENT OF c RETURNING id;
TRUNCATE topk;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM topk WHERE id < 12 ORDER BY v <-> '[1,2,3]' LIMIT 4;
UPDATE topk SET v = '[1,2,3]' WHERE id = 11;
FETCH ALL FROM c;
ROLLBACK;

-- plpgsql; a filter that changes the table while it is scanned
CREATE FUNCTION pg_temp.nearest(q vector, k int) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT id FROM topk WHERE v IS NOT NULL ORDER BY v <-> q LIMIT k;
END $$;
SELECT array_agg(n) FROM pg_temp.nearest('[1,3,5]', 3) n;
SELECT array_agg(n) FROM pg_temp.nearest('[9,3,5]', 2) n;
CREATE TABLE topk_small AS SELECT id, v FROM topk_mixed WHERE id <> 2;
CREATE FUNCTION pg_temp.remove(int) RETURNS boolean LANGUAGE sql VOLATILE
	AS 'DELETE FROM topk_small WHERE id = $1 RETURNING true';
SELECT * FROM topk_small WHERE pg_temp.remove(id) ORDER BY v <-> '[3,4]' LIMIT 2;
SELECT count(*) FROM topk_small;

-- as source of other statements
CREATE TABLE topk_copy AS SELECT id, v FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 10;
UPDATE topk_copy SET id = -id WHERE id IN (SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 4);
DELETE FROM topk_copy USING (SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 2) n WHERE topk_copy.id = -n.id;
SELECT count(*), count(*) FILTER (WHERE id < 0) FROM topk_copy;

-- row security: policies are filters
CREATE ROLE regress_topk;
GRANT SELECT ON topk TO regress_topk;
ALTER TABLE topk ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON topk USING (id % 2 = 1);
SET ROLE regress_topk;
SELECT pg_temp.compare('SELECT (id, v <-> ''[1,2,3]'') FROM topk ORDER BY v <-> ''[1,2,3]'' LIMIT 1');
SELECT bool_and(id % 2 = 1) FROM (SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 100) q;
RESET ROLE;
REVOKE SELECT ON topk FROM regress_topk;
SET ROLE regress_topk;
SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET ROLE;
DROP POLICY odd ON topk;
ALTER TABLE topk DISABLE ROW LEVEL SECURITY;
DROP ROLE regress_topk;

-- partitions: the first rows of each, merged; a UNION ALL is the same
CREATE TABLE topk_parts (v vector(3), id int) PARTITION BY RANGE (id);
CREATE TABLE topk_parts_1 PARTITION OF topk_parts FOR VALUES FROM (0) TO (300);
CREATE TABLE topk_parts_2 (extra text, id int, v vector(3));
ALTER TABLE topk_parts_2 DROP COLUMN extra;
ALTER TABLE topk_parts ATTACH PARTITION topk_parts_2 FOR VALUES FROM (300) TO (500);
CREATE TABLE topk_parts_3 PARTITION OF topk_parts FOR VALUES FROM (500) TO (2000) PARTITION BY LIST (id);
CREATE TABLE topk_parts_3a PARTITION OF topk_parts_3 DEFAULT;
INSERT INTO topk_parts SELECT v, id FROM topk;
ANALYZE topk_parts;
EXPLAIN (COSTS OFF) SELECT id FROM topk_parts ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM topk_parts ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM topk_parts WHERE id > 400 ORDER BY 1 LIMIT 950'),
	('SELECT v <-> ''[1,2,3]'' FROM (SELECT v FROM topk UNION ALL SELECT v FROM topk_parts WHERE id < 100) u ORDER BY 1 LIMIT 30')
) s(q);
DROP TABLE topk_parts;

-- inheritance
CREATE TABLE topk_child (more int) INHERITS (topk_mixed);
INSERT INTO topk_child VALUES (5, '[1,1]'), (6, '[9,9]');
SELECT id FROM topk_mixed WHERE id <> 2 ORDER BY v <-> '[1,1]' LIMIT 3;
SELECT id FROM ONLY topk_mixed WHERE id <> 2 ORDER BY v <-> '[1,1]' LIMIT 3;

-- out of line, compressed, short headers; memory does not grow with the rows
CREATE TABLE topk_wide (id int, e vector(1536), m vector(1536), s vector);
ALTER TABLE topk_wide ALTER e SET STORAGE external, ALTER m SET STORAGE extended;
INSERT INTO topk_wide
SELECT i, random_vector(1536, i), array_fill(i, ARRAY[1536])::vector, format('[%s]', i % 17)::vector
FROM generate_series(1, 1500) i;
ANALYZE topk_wide;
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT e <-> random_vector(1536, 5000) FROM topk_wide ORDER BY 1 LIMIT 10'),
	('SELECT e <=> (SELECT e FROM topk_wide WHERE id = 77) FROM topk_wide ORDER BY 1 LIMIT 10'),
	('SELECT m <-> (SELECT m FROM topk_wide WHERE id = 77) FROM topk_wide WHERE id > 5 ORDER BY 1 LIMIT 10'),
	('SELECT s <-> ''[5]'' FROM topk_wide ORDER BY 1 LIMIT 200')
) s(q);
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM topk_wide ORDER BY e <-> random_vector(1536, 9) LIMIT 10;
DECLARE d CURSOR FOR SELECT id FROM topk_wide WHERE id > 0 ORDER BY m <-> random_vector(1536, 9) LIMIT 10;
MOVE 1 FROM c;
MOVE 1 FROM d;
SELECT sum(total_bytes) < 1000000 AS bounded FROM pg_backend_memory_contexts
WHERE name IN ('ExecutorState', 'ExprContext', 'VectorTopK value', 'PortalContext');
COMMIT;

-- a materialised view, a temporary table, an empty one
CREATE MATERIALIZED VIEW topk_view AS SELECT id, v FROM topk WHERE id < 100;
CREATE TEMP TABLE topk_temp AS SELECT id, v FROM topk WHERE id < 100;
CREATE TABLE topk_empty (v vector(3));
SELECT t, pg_temp.compare(format('SELECT v <-> ''[1,2,3]'' FROM %s ORDER BY 1 LIMIT 5', t))
FROM (VALUES ('topk_view'), ('topk_temp'), ('topk_empty')) s(t);

-- parallel: each process returns its first rows, Gather Merge combines them
CREATE TABLE topk_many AS
SELECT i AS id, format('[%s,%s,%s]', i % 50, i * 7919 % 1300, i * 31 % 71)::vector AS v
FROM generate_series(1, 20000) i;
ALTER TABLE topk_many SET (parallel_workers = 2);
ANALYZE topk_many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT id FROM topk_many ORDER BY v <-> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM topk_many WHERE id % 3 = 0 ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM topk_many ORDER BY 1 LIMIT 100'),
	('SELECT v <=> ''[1,2,3]'' FROM topk_many WHERE id % 3 = 0 ORDER BY 1 LIMIT 100 OFFSET 20'),
	('SELECT v <-> ''[1,2,3]'' FROM topk_many WHERE id % 300 = 0 ORDER BY 1 LIMIT 1000'),
	('SELECT v <-> (SELECT v FROM topk_many WHERE id = 77) FROM topk_many ORDER BY 1 LIMIT 10')
) s(q);
PREPARE parallel_near(vector) AS SELECT v <-> $1 AS d FROM topk_many ORDER BY 1 LIMIT 3;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.nodes($$EXECUTE parallel_near('[1,2,3]')$$);
EXECUTE parallel_near('[7,8,9]');
RESET plan_cache_mode;
SELECT bool_or(x ~ 'VectorTopK') AS topk FROM pg_temp.nodes('SELECT n.d FROM generate_series(1, 3) i LEFT JOIN LATERAL (SELECT v <-> ''[1,2,3]'' d FROM topk_many WHERE id % i = 0 ORDER BY 1 LIMIT 2) n ON true') x;
-- rescanned with new workers
SET enable_material = off;
SELECT pg_temp.compare('SELECT n.d FROM (VALUES (1), (2), (3)) g(i) LEFT JOIN (SELECT id, v <-> ''[1,2,3]'' d FROM topk_many ORDER BY 2 LIMIT 4) n ON n.id > i * 1000');
RESET enable_material;
-- no worker to be had: the leader does it all
SET max_parallel_workers = 0;
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM topk_many ORDER BY 1 LIMIT 100');
RESET max_parallel_workers;
SET parallel_leader_participation = off;
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM topk_many ORDER BY 1 LIMIT 100');
RESET parallel_leader_participation;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- what EXPLAIN ANALYZE counts
CREATE FUNCTION pg_temp.analyze(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line !~ 'Buffers|Planning|Memory' THEN
			RETURN NEXT regexp_replace(line, 'rows=(\d+)\.00', 'rows=\1');
		END IF;
	END LOOP;
END $$;
SELECT pg_temp.analyze('SELECT id FROM topk WHERE id % 2 = 0 ORDER BY v <-> ''[1,2,3]'' LIMIT 3');
CREATE FUNCTION pg_temp.json(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN plan #> '{0,Plan,Plans,0}';
END $$;
SELECT p->>'Custom Plan Provider' AS provider, p->>'Order By' AS order_by
FROM pg_temp.json('SELECT v FROM topk ORDER BY v <-> ''[1,2,3]'' LIMIT 3') p;

-- in serializable transactions the scan locks the table as any would
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM (SELECT id FROM topk ORDER BY v <-> '[1,2,3]' LIMIT 3) q;
SELECT locktype, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND mode = 'SIReadLock' AND relation = 'topk'::regclass AND locktype = 'relation';
COMMIT;

-- random queries
DO $$
DECLARE
	query text;
	verdict text;
	n int := 0;
BEGIN
	PERFORM setseed(0.42);
	FOR i IN 1..200 LOOP
		query := format('SELECT %s FROM topk WHERE %s ORDER BY 1 LIMIT %s OFFSET %s',
			(ARRAY['v <-> %L', 'v <=> %L', '%L <#> v', 'h <+> %L', '%L <-> h', 'v <+> %L'])[1 + floor(random() * 6)],
			(ARRAY['true', 'id %% 2 = 0', 'v IS NOT NULL', 'note IS NULL', 'id > 900', 'late <> 5 OR id < 700'])[1 + floor(random() * 6)],
			floor(exp(random() * 8))::int, floor(random() * random() * 300)::int);
		query := format(query, format('[%s,%s,%s]',
			floor(random() * 9 - 2), floor(random() * 9 - 2), floor(random() * 9 - 2)));
		verdict := pg_temp.compare(query);
		IF verdict !~ '^VectorTopK, same' THEN
			RAISE NOTICE 'seed 0.42, %: %: %', i, query, verdict;
		END IF;
		n := n + 1;
	END LOOP;
	RAISE NOTICE '% queries', n;
END $$;

DROP TABLE topk_mixed CASCADE;
DROP MATERIALIZED VIEW topk_view;
DROP TABLE topk, topk_small, topk_copy, topk_wide, topk_temp, topk_empty, topk_many;
