-- Conditions on the distance end the scan that is ordered by it.
\pset format unaligned
\pset tuples_only on
SET max_parallel_workers_per_gather = 0;
SET hnsw.ef_search = 1000;		-- of 600 rows: finds them all

-- what EXPLAIN ANALYZE tells of the scan: how far it went
CREATE FUNCTION pg_temp.scanned(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	condition text := 'no condition';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line ~ 'Distance Cond' THEN
			condition := 'ends by a condition';
		ELSIF line ~ 'Index Scan using span' THEN
			RETURN condition || ', ' || substring(line from 'rows=(\d+)') || ' rows read';
		END IF;
	END LOOP;
	RETURN condition || ', no index';
END $$;

CREATE FUNCTION pg_temp.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	indexed text[];
	sorted text[];
	how text;
BEGIN
	query := format('SELECT array_agg(r::text) FROM (%s) r', query);
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	how := pg_temp.scanned(query);
	EXECUTE query INTO indexed;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE query INTO sorted;
	SET LOCAL enable_indexscan = on;
	RETURN how || ', ' ||
		CASE WHEN indexed IS DISTINCT FROM sorted THEN format('DIFFERENT: %s, not %s', indexed, sorted)
		ELSE 'same, ' || coalesce(cardinality(sorted), 0) END;
END $$;

-- on a line, at odd distances from 0
CREATE TABLE span (id int, cat int, v vector(2), h halfvec(2));
INSERT INTO span SELECT i, i % 4, ARRAY[2 * i - 1, 0], ARRAY[2 * i - 1, 0] FROM generate_series(1, 600) i;
CREATE INDEX span_l2 ON span USING hnsw (v vector_l2_ops);
CREATE INDEX span_ip ON span USING hnsw (v vector_ip_ops);
CREATE INDEX span_cosine ON span USING hnsw (v vector_cosine_ops);
CREATE INDEX span_h ON span USING hnsw (h halfvec_l2_ops) WITH (refine = int8);
ANALYZE span;

SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM span WHERE v <-> '[0,0]' < 100 AND cat = 2 ORDER BY v <-> '[0,0]';
RESET enable_seqscan;
RESET enable_sort;
SELECT n, pg_temp.compare(query) FROM (VALUES
	(1, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 101 ORDER BY v <-> ''[0,0]'''),
	(2, 'SELECT id FROM span WHERE v <-> ''[0,0]'' <= 101 ORDER BY v <-> ''[0,0]'''),
	(3, 'SELECT id FROM span WHERE 101 > ''[0,0]'' <-> v ORDER BY v <-> ''[0,0]'' LIMIT 7'),
	(4, 'SELECT id, v <-> ''[0,0]'' FROM span WHERE v <-> ''[0,0]'' BETWEEN 31 AND 101 ORDER BY 2'),
	(5, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 101 AND cat = 2 ORDER BY v <-> ''[0,0]'' LIMIT 100'),
	(6, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 0.5 ORDER BY v <-> ''[0,0]'''),
	(7, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < ''NaN'' ORDER BY v <-> ''[0,0]'''),
	(8, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < NULL::float8 ORDER BY v <-> ''[0,0]'''),
	(9, 'SELECT id FROM span WHERE l2_distance(v, ''[0,0]'') < 101 AND v <-> ''[0,0]'' < 51 ORDER BY v <-> ''[0,0]'''),
	(10, 'SELECT id FROM span WHERE inner_product(v, ''[1,1]'') > 1101 ORDER BY inner_product(v, ''[1,1]'') DESC'),
	(11, 'SELECT id FROM span WHERE -(v <#> ''[1,1]'') >= 1101 ORDER BY v <#> ''[1,1]'''),
	(12, 'SELECT id FROM span WHERE 10 - (v <-> ''[0,0]'') > -91 ORDER BY v <-> ''[0,0]'''),
	(13, 'SELECT id FROM span WHERE v <=> ''[1,0]'' < 0.1 AND id < 4 ORDER BY v <=> ''[1,0]'', id'),
	(14, 'SELECT id FROM span WHERE h <-> ''[0,0]'' < 101 ORDER BY h <-> ''[0,0]'''),
	(15, 'SELECT r, n.id FROM generate_series(0, 20, 10) r, LATERAL (SELECT id FROM span WHERE v <-> ''[0,0]'' < r ORDER BY v <-> ''[0,0]'') n'),
	(16, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < (SELECT 41.0::float8) ORDER BY v <-> ''[0,0]'''),
-- no such condition: not of the distance alone, the other way, of another value
	(21, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < cat * 10 ORDER BY v <-> ''[0,0]'' LIMIT 5'),
	(22, 'SELECT id FROM span WHERE v <-> ''[0,0]'' > 5 ORDER BY v <-> ''[0,0]'' LIMIT 5'),
	(23, 'SELECT id FROM span WHERE v <-> ''[1,0]'' < 100 ORDER BY v <-> ''[0,0]'' LIMIT 5'),
	(24, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 20 OR id = 30 ORDER BY v <-> ''[0,0]'' LIMIT 50'),
	(25, 'SELECT id FROM span WHERE 1 - (v <=> ''[0,0]'') > 0.5 AND id < 9 ORDER BY v <=> ''[0,0]'', id LIMIT 5')
) t(n, query) ORDER BY n;

-- nothing is ordered by the distance: an index by it all the same, where rows are read
CREATE TABLE listed AS SELECT * FROM span;
CREATE INDEX span_lists ON listed USING ivfflat (v vector_l2_ops) WITH (lists = 12);
ANALYZE listed;
SELECT n, pg_temp.compare(query) FROM (VALUES
	(31, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 100'),
	(32, 'SELECT count(*), min(id), max(id) FROM span WHERE 100 > v <-> ''[0,0]'''),
	(33, 'SELECT id FROM span WHERE v <-> ''[0,0]'' <= 99 AND cat = 1 ORDER BY id DESC'),
	(34, 'SELECT count(*) FROM span WHERE inner_product(v, ''[1,0]'') > 1150'),
	(35, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 100 AND v <-> ''[100,0]'' < 20 ORDER BY id'),
	(36, 'SELECT id FROM span WHERE h <-> ''[0,0]'' < 41'),
	(37, 'SELECT id FROM listed WHERE v <-> ''[0,0]'' < 100'),
	(38, 'SELECT id FROM listed WHERE v <-> ''[0,0]'' < 100 LIMIT 7'),
-- rows are locked; the other way
	(41, 'SELECT id FROM span WHERE v <-> ''[0,0]'' < 100 FOR UPDATE'),
	(42, 'SELECT id FROM span WHERE v <-> ''[0,0]'' > 1190')
) t(n, query) ORDER BY n;
EXPLAIN (COSTS OFF) DELETE FROM span WHERE v <-> '[0,0]' < 100;
DROP TABLE listed;

-- the graph is searched until nothing new is in range, whatever it begins with
SET hnsw.ef_search = 5;
CREATE TABLE spread (id int, v vector(64));
INSERT INTO spread SELECT i, random_vector(64, i) FROM generate_series(1, 6000) i;
CREATE INDEX ON spread USING hnsw (v vector_l2_ops);
ANALYZE spread;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE FUNCTION pg_temp.rows_in_range(r float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	found bigint := 0;
	n bigint;
BEGIN
	FOR i IN 1..20 LOOP
		EXECUTE format('SELECT count(*) FROM (SELECT id FROM spread WHERE v <-> %1$L < %2$s ORDER BY v <-> %1$L) n',
					   random_vector(64, 9000 + i), r) INTO n;
		found := found + n;
	END LOOP;
	RETURN found;
END $$;
CREATE TABLE counted AS SELECT r, pg_temp.rows_in_range(r) AS found FROM (VALUES (5.1), (5.3), (5.5)) t(r);
RESET enable_seqscan;
RESET enable_sort;
SET enable_indexscan = off;
SELECT r, pg_temp.rows_in_range(r) > 100 AS many, found::float8 / pg_temp.rows_in_range(r) BETWEEN 0.85 AND 1 AS found_most
FROM counted ORDER BY r;
DROP TABLE span, spread, counted;
