-- VectorBitmap: WHERE ... ORDER BY column <distance> value LIMIT k, where other
-- indexes tell the rows.

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

-- Runs a query of one column with VectorBitmap and without: "same" if the rows
-- are, and whether it was taken.
CREATE FUNCTION pg_temp.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	fast text[];
	slow text[];
	used boolean;
BEGIN
	SET LOCAL vecext.enable_bitmap = on;
	SELECT bool_or(n ~ 'VectorBitmap') INTO used FROM pg_temp.nodes(query) n;
	EXECUTE format('SELECT array_agg(r::text) FROM (%s) q(r)', query) INTO fast;
	SET LOCAL vecext.enable_bitmap = off;
	SET LOCAL vecext.enable_topk = off;
	IF EXISTS (SELECT FROM pg_temp.nodes(query) n WHERE n ~ 'VectorBitmap') THEN
		RETURN 'not switched off';
	END IF;
	EXECUTE format('SELECT array_agg(r::text) FROM (%s) q(r)', query) INTO slow;
	SET LOCAL vecext.enable_bitmap = on;
	SET LOCAL vecext.enable_topk = on;
	RETURN CASE WHEN used THEN 'VectorBitmap' ELSE 'other plan' END || ', ' ||
		CASE WHEN fast IS NOT DISTINCT FROM slow THEN 'same, ' || coalesce(cardinality(fast), 0)
		ELSE format('DIFFERENT: %s, not %s', fast, slow) END;
END $$;

-- What EXPLAIN ANALYZE says of the node.  Rows that died are in indexes as long as
-- other sessions' snapshots may need them.
CREATE FUNCTION pg_temp.counts(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ '(Strategy|Set|Lossy|Distances|Recheck|Removed)' THEN
			RETURN NEXT regexp_replace(trim(line), 'Set Rows: [1-9]\d*', 'Set Rows: some');
		END IF;
	END LOOP;
END $$;

-- v before other columns dropped and added; ties, NULLs, zero vectors, deleted and
-- updated rows
CREATE TABLE bitmap (
	gone int, id int, kind int, tags int[], words tsvector, spot point, day int,
	v vector(3), h halfvec(3), s sparsevec(5), b bit(9));
INSERT INTO bitmap
SELECT i, i, i * 7919 % 100, ARRAY[i % 10, i % 7], to_tsvector('simple', 'w' || i % 13 || ' x' || i % 5),
	point(i % 40, i / 40), i / 10, v, v::halfvec,
	format('{1:%s,3:%s}/5', i % 11 + 1, i * 7 % 13 + 1)::sparsevec, i::bit(9)
FROM generate_series(1, 3000) i,
	LATERAL (SELECT CASE WHEN i % 37 <> 0 THEN format('[%s,%s,%s]',
		i % 50, i * 7919 % 13, i * 31 % 7)::vector END v) e;
UPDATE bitmap SET v = '[0,0,0]', h = '[0,0,0]', s = '{}/5' WHERE id % 101 = 0;
ALTER TABLE bitmap DROP COLUMN gone;
ALTER TABLE bitmap ADD COLUMN late int DEFAULT 5;
CREATE INDEX bitmap_kind ON bitmap (kind);
CREATE INDEX bitmap_id ON bitmap (id);
CREATE INDEX bitmap_tags ON bitmap USING gin (tags);
CREATE INDEX bitmap_words ON bitmap USING gist (words);
CREATE INDEX bitmap_spot ON bitmap USING gist (spot);
CREATE INDEX bitmap_day ON bitmap USING brin (day) WITH (pages_per_range = 1);
CREATE INDEX bitmap_part ON bitmap (late) WHERE kind = 7;
DELETE FROM bitmap WHERE id % 10 = 3;
UPDATE bitmap SET late = 6 WHERE id % 10 = 4;
ANALYZE bitmap;

-- a small table would be read whole, and few rows by a plain index scan
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> '[1,2,3]' LIMIT 5;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, v <-> '[1,2,3]' AS d FROM bitmap
WHERE kind = 5 AND late = 5 ORDER BY d LIMIT 5;

-- every kind of index, and combinations; every type
SELECT q, pg_temp.compare(format('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE %s ORDER BY 1 LIMIT 20', q))
FROM (VALUES
	('kind = 5'), ('kind < 3'), ('kind IN (1, 2, 99)'), ('kind = ANY (ARRAY[4, NULL])'), ('kind IS NULL'),
	('tags && ARRAY[3]'), ('tags @> ARRAY[3, 4]'), ('words @@ ''w3'''), ('words @@ ''w3 & !x2'''),
	('spot <@ box ''(3,3),(9,40)'''), ('spot <@ circle ''<(20,20),6>'''), ('day BETWEEN 20 AND 25'),
	('kind = 5 AND tags @> ARRAY[5]'), ('kind = 5 OR tags @> ARRAY[3, 4]'),
	('(kind = 5 OR day < 4) AND words @@ ''x2'''), ('kind = 7 AND late = 5'),
	('kind = 5 AND late = 5'), ('kind = 5 AND v IS NOT NULL'), ('kind = 5 AND v <-> ''[1,2,3]'' > 12'),
	('kind < 8 AND random() >= 0'), ('kind = 5 AND current_setting(''port'') <> '''''),
	('kind = (SELECT 5 OFFSET 0)'), ('kind = 5 AND id NOT IN (SELECT g * 5 FROM generate_series(1, 500) g OFFSET 0)'),
	('kind = 500'), ('kind = 5 AND false'), ('kind + 0 = 5')
) s(q);
SELECT op, pg_temp.compare(format('SELECT %s %s %s FROM bitmap WHERE kind < 5 ORDER BY %1$s %2$s %3$s LIMIT 60',
								  CASE WHEN turned THEN val ELSE col END, op,
								  CASE WHEN turned THEN col ELSE val END))
FROM (VALUES ('v', '<->', $$'[3,4,5]'$$), ('v', '<#>', $$'[3,4,5]'$$),
	('v', '<=>', $$'[3,4,5]'$$), ('v', '<+>', $$'[3,4,5]'$$),
	('h', '<->', $$'[3,4,5]'$$), ('s', '<=>', $$'{1:3,2:4}/5'$$),
	('b', '<~>', $$B'101010101'$$), ('b', '<%>', $$B'101010101'$$)) o(col, op, val),
	(VALUES (false), (true)) t(turned);

-- shapes of queries
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 5 ORDER BY 1 LIMIT 1'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 5 ORDER BY 1 LIMIT 0'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 5 ORDER BY 1 LIMIT 5000'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 5 ORDER BY 1 LIMIT 7 OFFSET 5'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 5 ORDER BY 1 LIMIT 7 OFFSET 5000'),
	-- NaN of zero vectors before NULL, both last; or first
	('SELECT v <=> ''[1,2,3]'' FROM bitmap WHERE kind < 9 ORDER BY 1 LIMIT 900'),
	('SELECT 1 - (v <=> ''[1,2,3]'') FROM bitmap WHERE kind < 9 ORDER BY 1 DESC LIMIT 20'),
	('SELECT 1 - (v <=> ''[1,2,3]'') FROM bitmap WHERE kind < 9 ORDER BY 1 DESC NULLS LAST LIMIT 20'),
	('SELECT v <-> NULL FROM bitmap WHERE kind = 5 ORDER BY v <-> NULL::vector LIMIT 5'),
	('SELECT v <-> (SELECT NULL::vector OFFSET 0) FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 5'),
	('SELECT min(v <-> ''[1,2,3]'') FROM bitmap WHERE kind = 5'),
	-- the result's columns
	('SELECT (v <-> ''[1,2,3]'', tableoid::regclass, late, (t).h <-> v::halfvec) FROM bitmap t WHERE kind = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 1'),
	('SELECT ctid FROM bitmap WHERE id IN (5, 6, 7) ORDER BY v <-> ''[1,2,3]'' LIMIT 3'),
	('SELECT count(*) FROM (SELECT 1 FROM bitmap WHERE kind = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 5) q'),
	-- inside others, repeated: the value changes, the set, both, the LIMIT
	('SELECT d FROM (VALUES (1), (2), (3)) q(i), LATERAL (SELECT v <-> format(''[%s,2,3]'', i)::vector d FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 4) n'),
	('SELECT d FROM (VALUES (1), (2), (3)) q(i), LATERAL (SELECT v <-> ''[1,2,3]'' d FROM bitmap WHERE kind = i ORDER BY 1 LIMIT 4) n'),
	('SELECT d FROM (VALUES (1), (2), (3)) q(i), LATERAL (SELECT v <-> format(''[%s,2,3]'', i)::vector d FROM bitmap WHERE kind = i AND words @@ ''x2'' ORDER BY 1 LIMIT i) n'),
	('SELECT d FROM (VALUES (1), (2)) q(i), LATERAL (SELECT v <-> ''[1,2,3]'' d FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 4) n ORDER BY 1'),
	('SELECT (SELECT n.v <-> t.v FROM bitmap n WHERE n.kind = t.kind AND n.id <> t.id ORDER BY n.v <-> t.v LIMIT 1) FROM bitmap t WHERE id < 40'),
	('(SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 9) UNION ALL (SELECT v <-> ''[3,2,1]'' FROM bitmap WHERE kind = 6 ORDER BY 1 LIMIT 9)'),
	('WITH w AS MATERIALIZED (SELECT v <-> ''[1,2,3]'' d FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 9) SELECT d FROM w'),
	-- others decide how many rows: joins, which drop some or need all, further keys
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 FETCH FIRST 5 ROWS WITH TIES'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 GROUP BY 1 ORDER BY 1 LIMIT 5'),
	('SELECT rank() OVER (ORDER BY v <-> ''[1,2,3]'') FROM bitmap WHERE kind = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 5'),
	('SELECT a.v <-> ''[1,2,3]'' FROM bitmap a JOIN bitmap b USING (id) WHERE a.kind = 5 ORDER BY 1 LIMIT 5'),
	('SELECT a.v <-> ''[1,2,3]'' FROM bitmap a JOIN bitmap b USING (id) WHERE a.kind < 40 AND b.late = 6 ORDER BY 1 LIMIT 90'),
	('SELECT a.v <-> ''[1,2,3]'' FROM bitmap a, bitmap b WHERE a.kind = 5 AND b.id BETWEEN a.id + 1 AND a.id + 3 ORDER BY 1 LIMIT 30'),
	('SELECT a.v <-> ''[1,2,3]'' FROM bitmap a LEFT JOIN bitmap b ON b.id = -a.id WHERE a.kind = 5 AND b.id IS NULL ORDER BY 1 LIMIT 500'),
	('SELECT a.v <-> ''[1,2,3]'' FROM bitmap b LEFT JOIN bitmap a ON a.id = b.id + 1 AND a.kind < 5 WHERE b.kind < 50 ORDER BY 1 LIMIT 80'),
	('SELECT (v <-> ''[1,2,3]'', id) FROM bitmap WHERE kind < 9 ORDER BY v <-> ''[1,2,3]'', id DESC LIMIT 50'),
	('SELECT d FROM (SELECT v <-> ''[1,2,3]'' d FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 9 FOR UPDATE) q'),
	('SELECT a.v <-> ''[1,2,3]'' FROM (VALUES (1), (2)) i(i), LATERAL (SELECT a.v FROM bitmap a JOIN bitmap b USING (id) WHERE a.kind = i ORDER BY a.v <-> ''[1,2,3]'' LIMIT 4) a'),
	-- vectors that are computed
	('SELECT v::halfvec(3) <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 30'),
	('SELECT l2_normalize(v) + ''[1,1,1]'' <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 30'),
	('SELECT a.v::halfvec(3) <-> ''[1,2,3]'' FROM bitmap a JOIN bitmap b USING (id) WHERE a.kind = 5 ORDER BY 1 LIMIT 5'),
	-- left to others
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1'),
	('SELECT a.v <-> b.v FROM bitmap a JOIN bitmap b USING (id) WHERE a.kind = 5 ORDER BY 1 LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT ALL'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 DESC LIMIT 5'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT (SELECT 5 OFFSET 0)'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap TABLESAMPLE system (100) WHERE kind = 5 ORDER BY 1 LIMIT 5')
) s(q);
-- servers differ in what they tell of a LIMIT above DISTINCT ON
SELECT pg_temp.compare('SELECT DISTINCT ON (v <-> ''[1,2,3]'') v <-> ''[1,2,3]'' FROM bitmap WHERE kind < 9 ORDER BY 1, id LIMIT 20') ~ 'same, 20$' AS same;
SELECT n ~ 'LockRows' AS locks, n ~ 'VectorBitmap' AS ours FROM pg_temp.nodes(
	'SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 5 FOR UPDATE') n;

-- what was done: sets that indexes tell surely, and that must be checked
SELECT pg_temp.counts('SELECT id FROM bitmap WHERE kind = 5 AND late = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 5');
SELECT pg_temp.counts('SELECT id FROM bitmap WHERE words @@ ''w3'' ORDER BY v <-> ''[1,2,3]'' LIMIT 5');
SELECT pg_temp.counts($$SELECT n.id FROM (VALUES (1), (2)) q(i), LATERAL (
	SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> format('[%s,2,3]', i)::vector LIMIT 4) n$$);

-- little memory: pages whose rows are forgotten, results in several passes
CREATE TABLE bitmap_large (id int, kind int, filler char(200), v vector(2)) WITH (fillfactor = 10);
INSERT INTO bitmap_large SELECT i, i % 10, '', ARRAY[i * 7919 % 1009, i * 31 % 997]
FROM generate_series(1, 6000) i;
CREATE INDEX ON bitmap_large (kind);
ANALYZE bitmap_large;
BEGIN;
SET LOCAL work_mem = '64kB';
SELECT pg_temp.compare('SELECT v <-> ''[1,2]'' FROM bitmap_large WHERE kind < 5 ORDER BY 1 LIMIT 20');
SELECT regexp_replace(c, '\d+', CASE WHEN c ~ ' 0$' THEN 'none' ELSE 'some' END) AS counts
FROM pg_temp.counts(
	'SELECT id FROM bitmap_large WHERE kind < 5 ORDER BY v <-> ''[1,2]'' LIMIT 20') c WHERE c ~ ': (\d|some)';
SET LOCAL plan_cache_mode = force_generic_plan;
PREPARE first_rows(int) AS SELECT v <-> '[1,2]' AS d FROM bitmap_large WHERE kind < 9 ORDER BY 1 LIMIT $1;
SELECT pg_temp.counts('EXECUTE first_rows(5000)') LIKE 'Recheck%' AS ours LIMIT 1;
CREATE TEMP TABLE first_rows AS EXECUTE first_rows(5000);
SELECT (SELECT array_agg(d) FROM first_rows) =
	(SELECT array_agg(d) FROM (SELECT v <-> '[1,2]' AS d FROM bitmap_large WHERE kind < 9 ORDER BY 1 LIMIT 5000) r)
	AS same;
COMMIT;

-- prepared, the value, the set and k as parameters; a LIMIT known only when executed
PREPARE near(vector, int, int) AS
	SELECT v <-> $1 AS d FROM bitmap WHERE kind = $2 AND v IS NOT NULL ORDER BY 1 LIMIT $3;
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE near('[1,2,3]', 5, 3);
EXECUTE near('[1,2,3]', 5, 3);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near('[1,2,3]', 5, 3);
EXECUTE near('[1,2,3]', 5, 3);
EXECUTE near('[3,2,1]', 6, 1);
CREATE TEMP TABLE results AS EXECUTE near('[1,2,3]', 5, NULL);
SELECT count(*), bool_and(d >= p) FROM (SELECT d, lag(d, 1, 0) OVER () p FROM results) r;
EXECUTE near('[1,2,3]', 5, -1);
RESET plan_cache_mode;

-- cursors, both ways; rows deleted and updated meanwhile belong to its snapshot
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, v <-> '[1,2,3]' AS d FROM bitmap WHERE id < 12 ORDER BY 2 LIMIT 4;
FETCH 2 FROM c;
FETCH 9 FROM c;
FETCH BACKWARD 2 FROM c;
DELETE FROM bitmap WHERE id < 12;
FETCH ALL FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM bitmap WHERE id < 12 ORDER BY v <-> '[1,2,3]' LIMIT 4;
FETCH 2 FROM c;
UPDATE bitmap SET late = 77 WHERE CURRENT OF c RETURNING id;
FETCH ALL FROM c;
ROLLBACK;

-- rows that were updated in place, and whose key has changed
BEGIN;
UPDATE bitmap SET late = 9 WHERE kind = 5;
UPDATE bitmap SET kind = 1000 WHERE kind = 6;
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 AND late = 9 ORDER BY 1 LIMIT 50');
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind IN (6, 1000) ORDER BY 1 LIMIT 50');
ROLLBACK;

-- row security and views with a barrier: a function that leaks sees no hidden row
CREATE FUNCTION leak(int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
	$$BEGIN IF $1 % 2 = 0 THEN RAISE 'saw hidden row %', $1; END IF; RETURN true; END$$;
CREATE FUNCTION leaks(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN IF $1 % 2 = 0 THEN RAISE 'saw hidden kind %', $1; END IF; RETURN $1 = $2; END$$;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = leaks);
CREATE VIEW bitmap_odd WITH (security_barrier) AS SELECT * FROM bitmap WHERE id % 2 = 1 AND kind < 20;
CREATE ROLE regress_bitmap;
GRANT SELECT ON bitmap, bitmap_odd TO regress_bitmap;
ALTER TABLE bitmap ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON bitmap USING (id % 2 = 1);
SET ROLE regress_bitmap;
SELECT q, pg_temp.compare(format('SELECT (id, v <-> ''[1,2,3]'') FROM %s ORDER BY v <-> ''[1,2,3]'' LIMIT 1', q)),
	pg_temp.compare(format('SELECT v <-> ''[1,2,3]'' FROM %s ORDER BY 1 LIMIT 30', q))
FROM (VALUES ('bitmap WHERE kind = 5'), ('bitmap WHERE kind < 9 AND leak(id)'),
	('bitmap WHERE words @@ ''w3'' AND leak(id)'), ('bitmap WHERE kind = 5 AND id === 5'),
	('bitmap_odd WHERE kind = 5 AND leak(id)'), ('bitmap_odd WHERE leak(id)')) s(q);
-- policies that an index answers
RESET ROLE;
CREATE POLICY fifth ON bitmap AS RESTRICTIVE USING (kind < 5);
SET ROLE regress_bitmap;
EXPLAIN (COSTS OFF) SELECT id FROM bitmap WHERE leak(id) AND tags && ARRAY[3] ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE leak(id) AND id < 1000 ORDER BY 1 LIMIT 30');
RESET ROLE;
DROP POLICY fifth ON bitmap;
DROP POLICY odd ON bitmap;
ALTER TABLE bitmap DISABLE ROW LEVEL SECURITY;
DROP VIEW bitmap_odd;
REVOKE SELECT ON bitmap FROM regress_bitmap;
SET ROLE regress_bitmap;
SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET ROLE;
DROP ROLE regress_bitmap;
DROP OPERATOR === (int, int);

-- partitions, inheritance, UNION ALL: the first rows of each, merged
CREATE TABLE bitmap_parts (v vector(3), id int, kind int) PARTITION BY RANGE (id);
CREATE TABLE bitmap_parts_1 PARTITION OF bitmap_parts FOR VALUES FROM (0) TO (1300);
CREATE TABLE bitmap_parts_2 (extra text, kind int, id int, v vector(3));
ALTER TABLE bitmap_parts_2 DROP COLUMN extra;
ALTER TABLE bitmap_parts ATTACH PARTITION bitmap_parts_2 FOR VALUES FROM (1300) TO (9000);
INSERT INTO bitmap_parts SELECT v, id, kind FROM bitmap;
CREATE INDEX ON bitmap_parts (kind);
ANALYZE bitmap_parts;
CREATE TABLE bitmap_child (more int) INHERITS (bitmap);
INSERT INTO bitmap_child (id, kind, v) SELECT -id, kind, v FROM bitmap WHERE id < 900;
CREATE INDEX ON bitmap_child (kind);
ANALYZE bitmap_child;
EXPLAIN (COSTS OFF) SELECT id FROM bitmap_parts WHERE kind = 5 ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT q, pg_temp.compare(q) FROM (VALUES
	('SELECT v <-> ''[1,2,3]'' FROM bitmap_parts WHERE kind = 5 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE kind = 5 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM ONLY bitmap WHERE kind = 5 ORDER BY 1 LIMIT 30'),
	('SELECT v <-> ''[1,2,3]'' FROM (SELECT v, kind FROM ONLY bitmap UNION ALL SELECT v, kind FROM bitmap_parts) u WHERE kind = 5 ORDER BY 1 LIMIT 5'),
	('SELECT p.v <-> ''[1,2,3]'' FROM bitmap_parts p JOIN ONLY bitmap b USING (id) WHERE p.kind < 9 AND b.late = 5 ORDER BY 1 LIMIT 50'),
	('SELECT p.v <-> ''[1,2,3]'' FROM bitmap p JOIN bitmap_parts b ON b.id = abs(p.id) WHERE p.kind < 9 AND b.kind > 2 ORDER BY 1 LIMIT 50')
) s(q);
DROP TABLE bitmap_parts, bitmap_child;

-- where parallel plans are wanted; a worker executes it whole
BEGIN;
SELECT set_config(name, 'on', true) FROM pg_settings
WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT count(*) FROM pg_temp.nodes('SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> ''[1,2,3]'' LIMIT 3') n
WHERE n ~ '(Gather|VectorBitmap)';
SELECT id FROM bitmap WHERE kind = 5 ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT pg_temp.compare('SELECT v <-> ''[1,2,3]'' FROM bitmap WHERE words @@ ''w3'' AND kind < 50 ORDER BY 1 LIMIT 20');
COMMIT;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL min_parallel_index_scan_size = 0;
SELECT pg_temp.compare('SELECT v <-> ''[1,2]'' FROM bitmap_large WHERE kind < 5 ORDER BY 1 LIMIT 20');
SELECT pg_temp.compare($$SELECT d FROM (SELECT id FROM bitmap_large WHERE kind = 1 AND id < 400 OFFSET 0) l,
	LATERAL (SELECT v <-> '[1,2,3]' d FROM bitmap WHERE kind = l.id / 10 ORDER BY 1 LIMIT 2) n ORDER BY 1 LIMIT 90$$);
COMMIT;

-- an index of the column: searched for rows of the set.  As many as are wanted, in
-- order, of the set, and nearly the nearest; whatever the strategy.
CREATE TABLE bitmap_index (id int PRIMARY KEY, kind int, note text, v vector(8));
INSERT INTO bitmap_index SELECT i, i * 7919 % 1009 % 20, 'n' || i % 3,
	CASE WHEN i % 50 <> 0 THEN random_vector(8, i) END
FROM generate_series(1, 4000) i;
CREATE INDEX bitmap_index_kind ON bitmap_index (kind);
CREATE INDEX bitmap_index_v ON bitmap_index USING hnsw (v vector_l2_ops);
CREATE INDEX bitmap_index_lists ON bitmap_index USING ivfflat (v vector_cosine_ops) WITH (lists = 20);
ANALYZE bitmap_index;
SET plan_cache_mode = force_generic_plan;
-- other plans would be cheaper here; what is prepared is not planned again
SET vecext.enable_topk = off;
RESET enable_indexscan;
SET hnsw.max_scan_tuples = 200;
SET seq_page_cost = 1e9;
SET vecext.bitmap_strategy = restricted;
PREPARE by_index(vector) AS SELECT id, kind, note, v <-> $1 AS d, ctid FROM bitmap_index
	WHERE kind = 7 AND note < 'n2' ORDER BY v <-> $1 LIMIT 10;
PREPARE by_lists(vector) AS SELECT id, kind, note, v <=> $1 AS d, ctid FROM bitmap_index
	WHERE kind = 7 AND note < 'n2' ORDER BY v <=> $1 LIMIT 10;
PREPARE by_subplan(vector) AS SELECT id, kind, note, v <-> $1 AS d, ctid FROM bitmap_index
	WHERE kind = 7 AND note < 'n2' AND id NOT IN (SELECT g * 4 FROM generate_series(1, 1000) g OFFSET 0)
	AND (SELECT count(*) > 0 FROM generate_series(1, bitmap_index.id) LIMIT 1) ORDER BY v <-> $1 LIMIT 10;
PREPARE all_of_set(vector) AS SELECT id, kind, note, v <-> $1 AS d, ctid FROM bitmap_index
	WHERE kind = 7 ORDER BY v <-> $1 LIMIT 190;
EXPLAIN (COSTS OFF) EXECUTE by_index('[1,0,0,0,0,0,0,0]');
EXPLAIN (COSTS OFF) EXECUTE by_lists('[1,0,0,0,0,0,0,0]');
EXPLAIN (COSTS OFF) EXECUTE all_of_set('[1,0,0,0,0,0,0,0]');
-- what is told of it
SELECT verdict, chosen FROM vecext_explain_choice(
	'SELECT id FROM bitmap_index WHERE kind = 7 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 190')
WHERE index = 'bitmap_index_v'::regclass;
RESET hnsw.max_scan_tuples;
RESET seq_page_cost;
SET vecext.bitmap_strategy = exact;
SELECT verdict, chosen FROM vecext_explain_choice(
	'SELECT id FROM bitmap_index WHERE kind = 7 ORDER BY v <-> ''[1,0,0,0,0,0,0,0]'' LIMIT 10')
WHERE index = 'bitmap_index_v'::regclass;
SET vecext.bitmap_strategy = restricted;
CREATE FUNCTION pg_temp.check_index(strategy text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	q vector;
	taken text;
	rows int := 0;
	wrong int := 0;
	near float := 0;
	r record;
	last float;
BEGIN
	PERFORM set_config('vecext.bitmap_strategy', strategy, true);
	FOR i IN 1..10 LOOP
		q := random_vector(8, 100000 + i);
		last := -1;
		FOR r IN EXECUTE format('EXECUTE %s(%L)', statement, q) LOOP
			rows := rows + 1;
			wrong := wrong + (r.kind <> 7 OR (r.note >= 'n2' AND statement <> 'all_of_set') OR r.d < last OR
				NOT EXISTS (SELECT FROM bitmap_index b WHERE b.id = r.id AND b.ctid = r.ctid))::int;
			last := r.d;
			near := near + r.d;
		END LOOP;
		FOR r IN EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE %s(%L)', statement, q) LOOP
			taken := coalesce(substring(r."QUERY PLAN" from 'Strategy Taken: (.*)'), taken);
		END LOOP;
	END LOOP;
	RETURN format('%s: %s rows, %s wrong, %s', taken, rows, wrong, CASE WHEN near <= (
		SELECT sum(n.d) FROM generate_series(1, 10) i, LATERAL (
			SELECT CASE WHEN statement = 'by_lists' THEN v <=> random_vector(8, 100000 + i)
				ELSE v <-> random_vector(8, 100000 + i) END AS d
			FROM bitmap_index WHERE kind = 7 AND (note < 'n2' OR statement = 'all_of_set')
			ORDER BY 1 LIMIT 190 / CASE WHEN statement = 'all_of_set' THEN 1 ELSE 19 END) n) * 1.1
		THEN 'near' ELSE 'FAR: ' || near END);
END $$;
SELECT strategy, pg_temp.check_index(strategy, 'by_index')
FROM unnest(ARRAY['exact', 'restricted', 'filtered']) strategy;
SELECT strategy, rows FROM unnest(ARRAY['exact', 'restricted', 'filtered']) strategy,
	substring(pg_temp.check_index(strategy, 'by_lists') from ':.*wrong') rows;
SELECT substring(pg_temp.check_index('restricted', 'by_subplan') from '.*wrong');
SELECT pg_temp.check_index('restricted', 'all_of_set');
SELECT pg_temp.check_index('filtered', 'all_of_set');
DELETE FROM bitmap_index WHERE id % 4 = 1;
UPDATE bitmap_index SET note = 'n0' WHERE id % 4 = 2;
UPDATE bitmap_index SET kind = (kind + 1) % 20 WHERE id % 8 = 3;
SELECT pg_temp.check_index('restricted', 'by_index');
-- more rows than were expected: the index is asked again, then all others are found exactly
CREATE TABLE bitmap_other AS SELECT id FROM bitmap_index WHERE id % 13 = 0;
ALTER TABLE bitmap_other ADD PRIMARY KEY (id);
ANALYZE bitmap_other;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
RESET vecext.bitmap_strategy;
PREPARE join_some(vector) AS SELECT id, a.v <-> $1 AS d FROM bitmap_index a JOIN bitmap_other b USING (id)
	WHERE a.kind = 7 ORDER BY a.v <-> $1 LIMIT 3;
PREPARE join_all(vector) AS SELECT id, a.v <-> $1 AS d FROM bitmap_index a JOIN bitmap_other b USING (id)
	WHERE a.kind = 7 ORDER BY a.v <-> $1 LIMIT 30;
SELECT n FROM pg_temp.nodes('EXECUTE join_some(''[1,0,0,0,0,0,0,0]'')') n;
CREATE FUNCTION pg_temp.check_join(strategy text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
	taken text;
	r record;
BEGIN
	PERFORM set_config('vecext.bitmap_strategy', strategy, true);
	FOR r IN EXECUTE format('EXECUTE %s(%L)', statement, random_vector(8, 7)) LOOP
		ids := ids || r.id;
	END LOOP;
	FOR r IN EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE %s(%L)',
		statement, random_vector(8, 7)) LOOP
		taken := coalesce(substring(r."QUERY PLAN" from 'Strategy Taken: (.*)'), taken);
	END LOOP;
	RETURN format('%s: %s rows, %s twice, %s wrong', taken, cardinality(ids),
		cardinality(ids) - (SELECT count(DISTINCT i) FROM unnest(ids) i),
		(SELECT count(*) FROM unnest(ids) i WHERE i NOT IN (SELECT id FROM bitmap_index WHERE kind = 7)));
END $$;
SELECT count(*) FROM bitmap_index JOIN bitmap_other USING (id) WHERE kind = 7;
SELECT statement, strategy, pg_temp.check_join(strategy, statement)
FROM unnest(ARRAY['exact', 'restricted', 'filtered']) strategy, unnest(ARRAY['join_some', 'join_all']) statement;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
DROP TABLE bitmap_other;
-- a set with whole pages in it
CREATE INDEX ON bitmap_large USING hnsw (v vector_l2_ops);
SET work_mem = '64kB';
SET hnsw.max_scan_tuples = 20;
PREPARE of_pages(vector) AS SELECT kind, v <-> $1 AS d FROM bitmap_large WHERE kind < 4 ORDER BY v <-> $1 LIMIT 20;
SELECT count(*) FROM pg_temp.counts('EXECUTE of_pages(''[500,500]'')');
RESET hnsw.max_scan_tuples;
SELECT c FROM pg_temp.counts('EXECUTE of_pages(''[500,500]'')') c WHERE c ~ 'Strategy Taken';
SELECT c ~ ' 0$' AS none FROM pg_temp.counts('EXECUTE of_pages(''[500,500]'')') c WHERE c ~ 'Removed by Recheck';
CREATE TEMP TABLE of_pages AS EXECUTE of_pages('[500,500]');
SELECT count(*), bool_and(kind < 4), sum(d) <= 1.1 * (SELECT sum(d) FROM (
	SELECT v <-> '[500,500]' AS d FROM bitmap_large WHERE kind < 4 ORDER BY 1 LIMIT 20) n) AS near FROM of_pages;
RESET work_mem;
DEALLOCATE ALL;
RESET plan_cache_mode;
RESET enable_sort;
RESET vecext.enable_topk;
RESET vecext.bitmap_strategy;
DROP TABLE bitmap_index;

-- errors come from the rows that pass the filter, as ever
CREATE TABLE bitmap_mixed (id int, v vector);
INSERT INTO bitmap_mixed VALUES (1, '[1,2]'), (2, '[1,2,3]'), (3, NULL), (4, '[3,4]');
CREATE INDEX ON bitmap_mixed (id);
SELECT id FROM bitmap_mixed WHERE id > 2 ORDER BY v <-> '[1,1]' LIMIT 3;
SELECT id FROM bitmap_mixed WHERE id > 1 ORDER BY v <-> '[1,1]' LIMIT 3;

DROP TABLE bitmap, bitmap_large, bitmap_mixed;
DROP FUNCTION leak(int), leaks(int, int);
