-- Filter columns of the access method ivfflat.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try
\set am ivfflat
\set body :abs_srcdir '/sql/include/filter.psql'
\i :body
SELECT * FROM vecext_index_check('filtered_idx', true);

-- what cannot be: filters first, vectors later, other types, questions about the vector, no order
CREATE TABLE wrong (id integer, v vector(3), w vector(3), at time);
SELECT pg_temp.run('CREATE INDEX ON wrong USING ivfflat (id)');
SELECT pg_temp.run('CREATE INDEX ON wrong USING ivfflat (id, v vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON wrong USING ivfflat (v vector_l2_ops, w vector_l2_ops)');
SELECT pg_temp.run_code('CREATE INDEX ON wrong USING ivfflat (v vector_l2_ops, at)');
SELECT pg_temp.run_code('CREATE INDEX ON wrong USING ivfflat (v vector_l2_ops, id) INCLUDE (at)');
SELECT pg_temp.plan_of('SELECT id FROM filtered WHERE v IS NULL ORDER BY v <-> ''[3,4]''');
EXPLAIN (COSTS OFF) SELECT id FROM filtered WHERE v IS NOT NULL AND int4 = 1 ORDER BY v <-> '[3,4]';
SELECT pg_temp.plan_of('SELECT id FROM filtered WHERE int4 = 1');
SELECT id FROM filtered WHERE v IS NULL ORDER BY v <-> '[3,4]';

-- operator classes that are no filters
CREATE OPERATOR CLASS turned FOR TYPE int4 USING ivfflat AS OPERATOR 2 >, OPERATOR 3 <=, OPERATOR 4 =, OPERATOR 5 >=, OPERATOR 6 <;
CREATE OPERATOR CLASS short FOR TYPE int4 USING ivfflat AS OPERATOR 4 =;
CREATE OPERATOR CLASS other FOR TYPE int4[] USING ivfflat AS OPERATOR 4 = (anyarray, anyarray), OPERATOR 7 @> (anyarray, anyarray),
	OPERATOR 8 && (anyarray, anyarray);
CREATE OPERATOR CLASS distant FOR TYPE vector USING ivfflat AS OPERATOR 4 <-> FOR ORDER BY float_ops, FUNCTION 1 vector_l2_metric(internal);
SELECT opcname, amvalidate(oid) FROM pg_opclass WHERE opcname IN ('turned', 'short', 'other', 'distant') ORDER BY opcname;
DROP OPERATOR FAMILY turned USING ivfflat;
DROP OPERATOR FAMILY short USING ivfflat;
DROP OPERATOR FAMILY other USING ivfflat;
DROP OPERATOR FAMILY distant USING ivfflat;

-- every form of list page: codes on it, codes on pages of their own, records alone, of different sizes, and none
CREATE TABLE form (id integer PRIMARY KEY, v vector(64), big vector(1900), kind integer, name text);
INSERT INTO form SELECT i, (SELECT array_agg(hashint4(i * 64 + d) % 1000) FROM generate_series(1, 64) d),
	(SELECT array_agg(hashint4(i * 64 + d % 64) % 1000) FROM generate_series(1, 1900) d), nullif(i % 50, 49), 'name' || i % 20
FROM generate_series(1, 500) i;
INSERT INTO form (id, v, kind) VALUES (1001, array_fill(0, '{64}')::vector, 7), (1002, array_fill(0, '{64}')::vector, 8), (1003, NULL, 7);
CREATE FUNCTION compare(expression text, class text, options text, OUT same boolean, OUT rows integer, OUT few integer, OUT findings integer)
LANGUAGE plpgsql AS $$
DECLARE
	operator text := CASE WHEN class LIKE '%cosine%' THEN '<=>' WHEN class LIKE '%l1%' THEN '<+>' ELSE '<->' END;
	q text := format('FROM form WHERE kind IN (3, 7, 8) AND name > ''name1'' AND %s IS NOT NULL ORDER BY %1$s %s (SELECT %1$s FROM form WHERE id = 11)',
		expression, operator);
	by_index integer[];
	by_table integer[];
BEGIN
	EXECUTE format('CREATE INDEX form_idx ON form USING ivfflat ((%s) %s, kind, name) WITH (lists = 8 %s)', expression, class, options);
	PERFORM set_config('ivfflat.probes', '8', true);
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id %s LIMIT 500) s', q) INTO by_index;
	PERFORM set_config('ivfflat.probes', '1', true);
	EXECUTE format('SELECT count(*) FROM (SELECT id %s LIMIT 20) s', q) INTO few;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_sort = on;
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id %s) s', q) INTO by_table;
	SET LOCAL enable_indexscan = on;
	same := (SELECT array_agg(i ORDER BY i) FROM unnest(by_index) i) = (SELECT array_agg(i ORDER BY i) FROM unnest(by_table) i)
		AND by_index[1:10] = by_table[1:10];
	rows := cardinality(by_index);
	SELECT count(*) INTO findings FROM vecext_index_check('form_idx', true);
	DROP INDEX form_idx;
END $$;
SELECT * FROM compare('v', 'vector_l2_ops', '');
SELECT * FROM compare('v', 'vector_l2_ops', ', quantizer = int8, refine = half');
SELECT * FROM compare('v', 'vector_l2_ops', ', refine = heap');
SELECT * FROM compare('v', 'vector_l2_ops', ', quantizer = none');
SELECT * FROM compare('v', 'vector_l1_ops', '');
SELECT * FROM compare('v', 'vector_cosine_ops', '');
SELECT * FROM compare('big', 'vector_l2_ops', ', quantizer = int8');
SELECT * FROM compare('v::sparsevec(64)', 'sparsevec_l2_ops', '');
SET max_parallel_maintenance_workers = 2;
SET min_parallel_table_scan_size = 0;
SELECT * FROM compare('v', 'vector_cosine_ops', '');
RESET max_parallel_maintenance_workers;

-- no distance to anything: the undefined, and all rows if the query has none
CREATE INDEX form_idx ON form USING ivfflat (v vector_cosine_ops, kind, name) WITH (lists = 8);
SET ivfflat.probes = 8;
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM form WHERE kind = 7 ORDER BY v <=> array_fill(0, '{64}')::vector) s;
SELECT count(*) FROM (SELECT id FROM form WHERE kind IS NULL ORDER BY v <=> NULL) s;
SELECT array_agg(id) FROM (SELECT id FROM form WHERE kind = 7 AND name IS NULL ORDER BY v <=> array_fill(1, '{64}')::vector) s;
RESET ivfflat.probes;

-- LIMIT is filled whatever the conditions leave, unless lists are few by wish
SELECT count(*) FROM (SELECT id FROM form WHERE kind = 7 ORDER BY v <=> array_fill(1, '{64}')::vector LIMIT 10) s;
SET ivfflat.iterative_scan = off;
SELECT count(*) < 10 FROM (SELECT id FROM form WHERE kind = 7 ORDER BY v <=> array_fill(1, '{64}')::vector LIMIT 10) s;
RESET ivfflat.iterative_scan;

-- conditions change, rows come and go, lists are split and packed
UPDATE form SET kind = 100 WHERE id % 10 = 3;
UPDATE form SET name = NULL WHERE id % 10 = 4;
DELETE FROM form WHERE id % 3 = 0;
INSERT INTO form SELECT i, (SELECT array_agg(hashint4(i * 64 + d) % 1000) FROM generate_series(1, 64) d), NULL, i % 50, 'name' || i % 20
FROM generate_series(2001, 3000) i;
VACUUM form;
SELECT * FROM vecext_index_check('form_idx', true);
SET ivfflat.probes = 1000;
SELECT (SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM form WHERE kind = 100 ORDER BY v <=> array_fill(1, '{64}')::vector) s) =
	(SELECT array_agg(id ORDER BY id) FROM form WHERE kind + 0 = 100 AND v IS NOT NULL);
SELECT (SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM form WHERE name IS NULL ORDER BY v <=> array_fill(1, '{64}')::vector) s) =
	(SELECT array_agg(id ORDER BY id) FROM form WHERE name || '' IS NULL AND v IS NOT NULL);
SELECT name, value FROM vecext_index_stats('form_idx') WHERE name = 'filter columns';

-- an index made on an empty table
CREATE UNLOGGED TABLE later (v vector(64), kind integer);
CREATE INDEX later_idx ON later USING ivfflat (v vector_l2_ops, kind);
INSERT INTO later SELECT v, kind FROM form WHERE v IS NOT NULL;
VACUUM later;
SELECT * FROM vecext_index_check('later_idx', true);
SELECT count(*) FROM (SELECT FROM later WHERE kind BETWEEN 3 AND 5 ORDER BY v <-> array_fill(1, '{64}')::vector) s;
SELECT count(*) FROM form WHERE kind + 0 BETWEEN 3 AND 5 AND v IS NOT NULL;

-- prepared: constants that come later, and NULL
PREPARE of_kind (integer, integer[]) AS SELECT count(*) FROM (SELECT FROM form WHERE kind < $1 AND kind = ANY ($2)
	ORDER BY v <=> array_fill(1, '{64}')::vector) s;
SET plan_cache_mode = force_generic_plan;
EXECUTE of_kind (10, '{3,5,12}');
EXECUTE of_kind (NULL, '{3,5,12}');
EXECUTE of_kind (10, NULL);
EXECUTE of_kind (10, '{NULL}');
RESET plan_cache_mode;

-- the nearest of each kind: a parameter from another table
EXPLAIN (COSTS OFF) SELECT k, n.id FROM generate_series(1, 3) k, LATERAL
	(SELECT id FROM form WHERE kind = k ORDER BY v <=> array_fill(1, '{64}')::vector LIMIT 2) n;
SELECT count(*), bool_and(f.kind = k) FROM generate_series(1, 30) k, LATERAL
	(SELECT id FROM form WHERE kind = k ORDER BY v <=> array_fill(1, '{64}')::vector LIMIT 2) n JOIN form f USING (id);
