-- Distance once: what an index has computed is handed up, what nobody reads is
-- not computed, and the result is the same to the bit.
\pset format unaligned
\pset tuples_only on
SET max_parallel_workers_per_gather = 0;
SET enable_sort = off;
SET hnsw.ef_search = 1000;		-- of 300 rows: finds them all

-- the nodes of a plan, with what they are ordered and filtered by
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		IF line ~ '^\S|->|Order By|Sort Key|Presorted|Filter|Output' THEN
			RETURN NEXT regexp_replace(line, '\$\d+|\(?InitPlan 1\)?(\.col1)?', 'PARAM', 'g');
		END IF;
	END LOOP;
END $$;

-- a query's rows with VectorDistance, with the scan alone, and without an index
CREATE FUNCTION pg_temp.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows_of text[];
	reused text[];
	again text[];
	exact text[];
	wrapped boolean;
BEGIN
	query := format('SELECT array_agg(r::text) FROM (%s) r', query);
	SELECT bool_or(n ~ 'VectorDistance') INTO wrapped FROM pg_temp.plan(query) n;
	IF NOT EXISTS (SELECT FROM pg_temp.plan(query) n WHERE n ~ 'Index Scan using') THEN
		RETURN 'no index';
	END IF;
	EXECUTE query INTO reused;
	SET LOCAL vecext.enable_distance_reuse = off;
	IF EXISTS (SELECT FROM pg_temp.plan(query) n WHERE n ~ 'VectorDistance|NULL::double') THEN
		RETURN 'not switched off';
	END IF;
	EXECUTE query INTO again;
	SET LOCAL enable_indexscan = off;
	EXECUTE query INTO exact;
	SET LOCAL enable_indexscan = on;
	SET LOCAL vecext.enable_distance_reuse = on;
	RETURN CASE WHEN wrapped THEN 'VectorDistance' ELSE 'scan alone' END || ', ' ||
		CASE WHEN reused IS DISTINCT FROM again THEN format('DIFFERENT: %s, not %s', reused, again)
		WHEN reused IS DISTINCT FROM exact THEN format('NOT EXACT: %s, not %s', reused, exact)
		ELSE 'same, ' || coalesce(cardinality(exact), 0) END;
END $$;

CREATE TABLE once (gone int, id int PRIMARY KEY, cat int, v vector(24), h halfvec(24), s sparsevec(24), b bit(24));
INSERT INTO once
SELECT 0, i, i % 7, v, v::halfvec, v::sparsevec, (i * 7919)::bit(24)
FROM generate_series(1, 300) i, random_vector(24, i) v;
UPDATE once SET v = array_fill(0, ARRAY[24])::vector WHERE id = 77;
ALTER TABLE once DROP COLUMN gone;
CREATE INDEX ON once USING hnsw (v vector_l2_ops);
CREATE INDEX ON once USING hnsw (v vector_ip_ops);
CREATE INDEX ON once USING hnsw (v vector_cosine_ops);
CREATE INDEX ON once USING hnsw (v vector_l1_ops);
CREATE INDEX ON once USING hnsw (h halfvec_l2_ops) WITH (refine = half);
CREATE INDEX ON once USING hnsw (h halfvec_ip_ops) WITH (refine = int8);
CREATE INDEX ON once USING hnsw (h halfvec_cosine_ops) WITH (refine = heap);
CREATE INDEX ON once USING hnsw (s sparsevec_l2_ops);
CREATE INDEX ON once USING hnsw (b bit_jaccard_ops);
CREATE INDEX ON once USING hnsw ((v::halfvec(24)) halfvec_l1_ops);
CREATE TABLE partner (id int PRIMARY KEY, note text);
INSERT INTO partner SELECT i, 'p' || i FROM generate_series(1, 300, 2) i;
ANALYZE once;
ANALYZE partner;
SET enable_seqscan = off;
SELECT random_vector(24, 1000) AS q \gset
SELECT random_vector(24, 1001) AS q2 \gset
\set q '''' :q '''::vector'
\set h :q '::halfvec'

-- a distance nobody reads is not computed
SELECT pg_temp.plan($$SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5$$);
SELECT pg_temp.plan($$SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5 FOR UPDATE$$);
SELECT pg_temp.plan($$SELECT o.id, note FROM once o JOIN partner USING (id) ORDER BY s <-> '{1:1}/24' LIMIT 5$$);
SELECT pg_temp.plan($$SELECT count(*) FROM (SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5) q$$);
SELECT pg_temp.plan($$WITH n AS MATERIALIZED (SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5) SELECT * FROM n$$);
SELECT pg_temp.plan($$SELECT ARRAY(SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5)$$);
SELECT pg_temp.plan($$INSERT INTO partner SELECT id + 1000, 'x' FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5$$);
SET enable_indexscan = off;
SELECT pg_temp.plan($$SELECT id FROM once ORDER BY s <-> '{1:1}/24' LIMIT 5$$);
SET enable_indexscan = on;
-- one that is read comes from the index
SELECT pg_temp.plan($$SELECT id, s <-> '{1:1}/24' FROM once ORDER BY 2 LIMIT 5$$);
SELECT pg_temp.plan($$SELECT 1 - ('{1:1}/24' <-> s) FROM once WHERE s <-> '{1:1}/24' > 0.5 ORDER BY s <-> '{1:1}/24' LIMIT 5$$);
SELECT pg_temp.plan($$SELECT id FROM once ORDER BY s <-> '{1:1}/24' FETCH FIRST 5 ROWS WITH TIES$$);
SELECT pg_temp.plan($$SELECT id FROM once ORDER BY s <-> '{1:1}/24', id LIMIT 5$$);
SELECT pg_temp.plan($$SELECT o.id, note, s <-> '{1:1}/24' FROM once o JOIN partner USING (id) ORDER BY 3 LIMIT 5$$);
SELECT pg_temp.plan($$SELECT min(s <-> '{1:1}/24') FROM once$$);
SELECT pg_temp.plan($$SELECT o.id, n.id FROM once o, LATERAL (SELECT id FROM once i WHERE i.id <> o.id ORDER BY i.s <-> o.s LIMIT 1) n WHERE o.id < 3$$);

-- the same rows and the same bits
SELECT o.op, pg_temp.compare(format('SELECT id, %1$s %2$s %3$s AS d FROM once ORDER BY %1$s %2$s %3$s LIMIT 40', col, op, val))
FROM (VALUES (1, 'v', '<->', :'q'), (2, 'v', '<#>', :'q'), (3, 'v', '<=>', :'q'), (4, 'v', '<+>', :'q'),
	(5, 'h', '<->', :'h'), (6, 'h', '<#>', :'h'), (7, 'h', '<=>', :'h'), (8, 'v::halfvec(24)', '<+>', :'h'),
	(9, 's', '<->', '''{1:1,3:0.5}/24''')) o(n, col, op, val) ORDER BY n;
SELECT n, pg_temp.compare(replace(query, 'Q', :'q')) FROM (VALUES
	(1, 'SELECT id, Q <-> v FROM once ORDER BY Q <-> v LIMIT 30'),
	(2, 'SELECT id, Q <-> v FROM once ORDER BY v <-> Q LIMIT 30'),
	(3, 'SELECT id, Q <=> v FROM once ORDER BY v <=> Q'),
	(4, 'SELECT id, (v <-> Q) + id AS e, (v <-> Q)::real, v <=> Q AS other FROM once ORDER BY v <-> Q LIMIT 30'),
	(5, 'SELECT id, v <-> Q AS d FROM once WHERE v <-> Q > 2.9 AND cat <> 2 AND v <-> Q < 3.3 ORDER BY v <-> Q LIMIT 100'),
	(6, 'SELECT id FROM once ORDER BY v <-> Q OFFSET 5 LIMIT 30'),
	(7, 'SELECT once, v <-> Q AS d FROM once ORDER BY d LIMIT 30'),
	(8, 'SELECT o.id, note, v <-> Q AS d FROM once o JOIN partner p ON p.id = o.id ORDER BY v <-> Q LIMIT 30'),
	(9, 'SELECT o.id, note, v <-> Q AS d FROM once o LEFT JOIN partner p ON p.id = o.id WHERE note IS NULL OR v <-> Q > 3 ORDER BY v <-> Q LIMIT 30'),
	(10, 'SELECT o.id, p.note, r.note, 1 - (Q <-> v) FROM once o JOIN partner p ON p.id = o.id LEFT JOIN partner r ON r.id = o.cat ORDER BY v <-> Q LIMIT 30'),
	(11, 'SELECT i, n.id, n.d FROM generate_series(1, 4) i, LATERAL (SELECT id, v <-> random_vector(24, 2000 + i) AS d FROM once ORDER BY d LIMIT 3) n'),
	(12, 'SELECT i, (SELECT v <-> random_vector(24, 2000 + i) AS d FROM once ORDER BY d LIMIT 1) FROM generate_series(1, 4) i'),
	(13, 'SELECT i, n.id FROM generate_series(1, 4) i, LATERAL (SELECT id FROM once WHERE v <-> random_vector(24, 2000 + i) > 3 ORDER BY v <-> random_vector(24, 2000 + i) LIMIT 3) n'),
	(14, 'SELECT min(v <-> Q) AS d FROM once'),
	(15, 'SELECT id, (SELECT max(i.id) FROM once i WHERE i.id < o.id), v <-> Q AS d FROM once o ORDER BY d LIMIT 9'),
	(16, 'SELECT id, v <-> (SELECT i.v FROM once i WHERE i.id = 9) AS d FROM once ORDER BY d LIMIT 9'),
	(17, 'SELECT id, v <-> Q AS d FROM once ORDER BY d, id LIMIT 30'),
	(18, 'SELECT id, v <-> Q AS d FROM once ORDER BY d FETCH FIRST 7 ROWS WITH TIES'),
	(19, 'SELECT * FROM (SELECT id, v <-> Q AS d FROM once UNION ALL SELECT id + 1000, s <-> ''{1:1}/24'' FROM once WHERE cat = 3) u ORDER BY d LIMIT 30'),
	(20, 'SELECT rank() OVER (ORDER BY v <-> Q), id, v <-> Q AS d FROM once LIMIT 30')
) t(n, query) ORDER BY n;
-- no distance: a NULL value, a zero vector
SELECT count(*), count(d) FROM (SELECT v <-> NULL AS d FROM once ORDER BY v <-> NULL::vector LIMIT 7) q;
SELECT count(*), min(d), max(d) FROM (SELECT v <=> array_fill(0, ARRAY[24])::vector AS d FROM once ORDER BY d LIMIT 7) q;
PREPARE near(vector) AS SELECT id, v <-> $1 AS d FROM once ORDER BY v <-> $1 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.plan('EXECUTE near(NULL)');
EXECUTE near(NULL) \g /dev/null
CREATE TEMP TABLE executed AS EXECUTE near(:q);
RESET plan_cache_mode;
SELECT e.d = o.v <-> :q AS same FROM executed e JOIN once o USING (id);

-- a cursor's row can be updated in place
BEGIN;
DECLARE c CURSOR FOR SELECT id, s <-> '{1:1}/24' AS d FROM once ORDER BY d;
SELECT pg_temp.plan($$SELECT id, s <-> '{1:1}/24' AS d FROM once ORDER BY d$$);
MOVE 3 IN c;
UPDATE once SET cat = 100 WHERE CURRENT OF c;
SELECT id = (SELECT id FROM once ORDER BY s <-> '{1:1}/24' OFFSET 2 LIMIT 1) AS third FROM once WHERE cat = 100;
ROLLBACK;

-- row security: the leaky function sees no hidden row
CREATE FUNCTION pg_temp.leak(int, float8) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	IF $1 % 7 = 3 THEN
		RAISE NOTICE 'leaked %', $1;
	END IF;
	RETURN $1 > 10;
END $$;
CREATE ROLE regress_vecext_reader;
GRANT SELECT ON once TO regress_vecext_reader;
CREATE POLICY hides ON once USING (cat <> 3);
ALTER TABLE once ENABLE ROW LEVEL SECURITY;
SET ROLE regress_vecext_reader;
SELECT pg_temp.plan($$SELECT id, s <-> '{1:1}/24' FROM once WHERE pg_temp.leak(id, s <-> '{1:1}/24') ORDER BY 2 LIMIT 5$$);
SELECT pg_temp.compare(replace('SELECT id, v <-> Q AS d FROM once WHERE pg_temp.leak(id, v <-> Q) ORDER BY v <-> Q LIMIT 30', 'Q', :'q'));
RESET ROLE;
ALTER TABLE once DISABLE ROW LEVEL SECURITY;
DROP POLICY hides ON once;
REVOKE SELECT ON once FROM regress_vecext_reader;
DROP ROLE regress_vecext_reader;

-- how many vectors are read from the TOAST table
CREATE TABLE toasted (id int, v vector(1000));
INSERT INTO toasted SELECT i, random_vector(1000, i) FROM generate_series(1, 100) i;
CREATE INDEX ON toasted USING hnsw (v vector_l2_ops);
CREATE FUNCTION pg_temp.values_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	toast_index oid := (SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.reltoastrelid = i.indrelid
						WHERE c.relname = 'toasted');
	before bigint := coalesce(pg_stat_get_xact_numscans(toast_index), 0);
BEGIN
	EXECUTE query;
	RETURN coalesce(pg_stat_get_xact_numscans(toast_index), 0) - before;
END $$;
SELECT pg_temp.values_read('SELECT id FROM toasted ORDER BY v <-> random_vector(1000, 200) LIMIT 10');
SELECT pg_temp.values_read('SELECT id, v <-> random_vector(1000, 200) FROM toasted WHERE v <-> random_vector(1000, 200) > 1 ORDER BY 2 LIMIT 10');
SET vecext.enable_distance_reuse = off;
SELECT pg_temp.values_read('SELECT id FROM toasted ORDER BY v <-> random_vector(1000, 200) LIMIT 10');
RESET vecext.enable_distance_reuse;

DROP TABLE once, partner, toasted;
