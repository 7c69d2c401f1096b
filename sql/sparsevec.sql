-- sparsevec: text and binary form, type modifier, distances, order, aggregates.
-- Casts are in cast.sql, modifiers of all types in typmod.sql.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\set recv :abs_srcdir '/sql/include/recv.psql'
\i :try
\i :recv

-- text: any order in, ascending out; white space anywhere; zeros dropped
SELECT pg_temp.try(e) FROM (VALUES
	($$'{1:1.5,3:2}/5'::sparsevec$$),
	($$'{3:2,1:1.5}/5'::sparsevec$$),
	($$'{5:5,4:4,3:3,2:2,1:1}/5'::sparsevec$$),
	($$'{}/5'::sparsevec$$),
	($$'{ }/5'::sparsevec$$),
	($$E' { 2 : 1.5 ,\t1\n:\r2\x0b}\f/ 5 '::sparsevec$$),
	($$'{1:1.,2:.5,3:1e3,4:+2,5:0x1p-2,6:-0.25}/6'::sparsevec$$),
	($$'{+2:1}/+3'::sparsevec$$),
	($$'{1:0,2:-0,3:1}/3'::sparsevec$$),
	($$'{1:3e38,2:1e-40,3:0.1,4:1e-7,5:123456789}/5'::sparsevec$$),
	($$'{1000000000:1}/1000000000'::sparsevec$$),
	-- a zero element is dropped before its index is looked at
	($$'{7:0,-1:0}/5'::sparsevec$$),
	($$'{1:1,1:0}/5'::sparsevec$$)
) v(e);

-- text: errors
SELECT pg_temp.try(e) FROM (VALUES
	($$''::sparsevec$$),
	($$'[1,2]'::sparsevec$$),
	($$'1:1}/5'::sparsevec$$),
	($$'{'::sparsevec$$),
	($$'{1'::sparsevec$$),
	($$'{1:'::sparsevec$$),
	($$'{1:1'::sparsevec$$),
	($$'{1:1,'::sparsevec$$),
	($$'{1:1}'::sparsevec$$),
	($$'{1:1}5'::sparsevec$$),
	($$'{1:1}/'::sparsevec$$),
	($$'{1:1}/x'::sparsevec$$),
	($$'{1:1}/5x'::sparsevec$$),
	($$'{1:1}/5.0'::sparsevec$$),
	($$'{1:1}/0x5'::sparsevec$$),
	($$'{1:1} /5 5'::sparsevec$$),
	($$'{,}/5'::sparsevec$$),
	($$'{1:1,}/5'::sparsevec$$),
	($$'{,1:1}/5'::sparsevec$$),
	($$'{1:1,,2:1}/5'::sparsevec$$),
	($$'{1 1}/5'::sparsevec$$),
	($$'{1;1}/5'::sparsevec$$),
	($$'{:1}/5'::sparsevec$$),
	($$'{1:}/5'::sparsevec$$),
	($$'{1:x}/5'::sparsevec$$),
	($$'{1:1e}/5'::sparsevec$$),
	($$'{1.5:1}/5'::sparsevec$$),
	($$'{0x1:1}/5'::sparsevec$$),
	($$'{1:nan}/5'::sparsevec$$),
	($$'{1:-Infinity}/5'::sparsevec$$),
	-- out of range, both ways
	($$'{1:1e39}/5'::sparsevec$$),
	($$'{1:-4e38}/5'::sparsevec$$),
	($$'{1:1e-46}/5'::sparsevec$$),
	($$'{1:0x1p-160}/5'::sparsevec$$),
	-- dimensions
	($$'{}/0'::sparsevec$$),
	($$'{}/-1'::sparsevec$$),
	($$'{}/1000000001'::sparsevec$$),
	($$'{}/99999999999999999999'::sparsevec$$),
	($$'{}/-99999999999999999999'::sparsevec$$),
	($$'{9:1}/0'::sparsevec$$),
	-- indices
	($$'{0:1}/5'::sparsevec$$),
	($$'{-1:1}/5'::sparsevec$$),
	($$'{6:1}/5'::sparsevec$$),
	($$'{2147483648:1}/5'::sparsevec$$),
	($$'{-2147483648:1}/5'::sparsevec$$),
	($$'{-99999999999999999999:1}/5'::sparsevec$$),
	($$'{1:1,2:2}/1'::sparsevec$$),
	($$'{1:1,1:1}/5'::sparsevec$$),
	($$'{2:1,1:1,2:1}/5'::sparsevec$$),
	-- ascending: the first offence counts
	($$'{9:2,3:1,3:1}/5'::sparsevec$$),
	($$'{9:2,3:1,0:1}/5'::sparsevec$$)
) v(e);
-- 16000 non-zeros; commas are counted before anything else is read
SELECT left(v::text, 20), right(v::text, 20), length(v::text)
FROM (SELECT ('{' || string_agg(i || ':1', ',' ORDER BY i DESC) || '}/16000')::sparsevec
	FROM generate_series(1, 16000) i) t(v);
SELECT pg_temp.try(format('length((''%s'' || repeat('','', %s) || ''}/20000'')::sparsevec::text)', start, n))
FROM (VALUES ('{', 16000), ('nonsense', 16000)) v(start, n);
SELECT left(pg_temp.try($$('{' || repeat(',', 15999) || '}/20000')::sparsevec$$), 100);

-- type modifier: dimensions first, then the modifier, then the elements
SELECT pg_temp.try(e) FROM (VALUES
	($$sparsevec_in('{1:1}/3', 0, 3)$$),
	($$sparsevec_in('{1:1}/3', 0, 2)$$),
	($$sparsevec_in('{9:1}/3', 0, 2)$$),
	($$sparsevec_in('{9:1}/0', 0, 2)$$),
	($$sparsevec('{1:1}/3', 2, true)$$)
) v(e);

-- binary: dim, nnz, unused, indices from 0, values
SELECT sparsevec_send(v::sparsevec) FROM (VALUES
	('{}/5'), ('{1:1,3:-2.5}/5'), ('{1000000000:1}/1000000000')) t(v);
SELECT pg_temp.recv(type, message) FROM (VALUES
	('sparsevec', '00000005 00000000 00000000'),
	('sparsevec', '00000005 00000002 00000000 00000000 00000002 3f800000 c0200000'),
	('sparsevec', '3b9aca00 00000001 00000000 3b9ac9ff 3f800000'),
	-- dimensions
	('sparsevec', '00000000 00000000 00000000'),
	('sparsevec', 'ffffffff 00000000 00000000'),
	('sparsevec', '3b9aca01 00000000 00000000'),
	-- number of elements
	('sparsevec', '00000005 ffffffff 00000000'),
	('sparsevec', '00004e20 00003e81 00000000'),
	('sparsevec', '00000001 7fffffff 00000000'),
	('sparsevec', '00000001 00000002 00000000 00000000 00000001 3f800000 3f800000'),
	-- modifier, after the numbers and before the rest
	('sparsevec(5)', '00000005 00000000 00000000'),
	('sparsevec(4)', '00000005 00000000 00000000'),
	('sparsevec(4)', '00000005 ffffffff 00000000'),
	('sparsevec(4)', '00000005 00000000 00000001'),
	('sparsevec', '00000005 00000000 00000001'),
	('sparsevec', '00000005 00000000 ffffffff'),
	-- indices
	('sparsevec', '00000005 00000001 00000000 00000005 3f800000'),
	('sparsevec', '00000005 00000001 00000000 ffffffff 3f800000'),
	('sparsevec', '00000005 00000002 00000000 00000002 00000001 3f800000 3f800000'),
	('sparsevec', '00000005 00000002 00000000 00000002 00000002 3f800000 3f800000'),
	-- values
	('sparsevec', '00000005 00000001 00000000 00000000 7fc00000'),
	('sparsevec', '00000005 00000001 00000000 00000000 7f800000'),
	('sparsevec', '00000005 00000001 00000000 00000000 ff800000'),
	('sparsevec', '00000005 00000001 00000000 00000000 00000000'),
	('sparsevec', '00000005 00000001 00000000 00000000 80000000'),
	-- too short, too long
	('sparsevec', '00000005 00000000'),
	('sparsevec', '00000005 00000002 00000000 00000000'),
	('sparsevec', '00000005 00000002 00000000 00000000 00000001 3f800000'),
	('sparsevec', '00000005 00000001 00000000 00000000 3f800000 00')
) v(type, message);
SELECT count(*), bool_and(pg_temp.recv_value('sparsevec', sparsevec_send(v)) = v::text) AS same
FROM (SELECT (array_agg(i * (i % 3 - 1)) || 7)::sparsevec
	FROM generate_series(1, 40) n, generate_series(1, n) i GROUP BY n) t(v);

-- distances: which elements meet, and which have no counterpart
SELECT a, b, a <-> b AS l2, a <#> b AS ip, a <+> b AS l1, round((a <=> b)::numeric, 6) AS cosine
FROM (VALUES
	('{1:1,2:2}/4'::sparsevec, '{3:2,4:4}/4'::sparsevec),
	('{1:1,2:2}/4', '{1:1,2:2}/4'),
	('{1:3}/2', '{2:4}/2'),
	('{2:2,4:-4}/5', '{1:1,2:2,3:3,4:4,5:5}/5'),
	('{1:1,2:2,3:3,4:4,5:5}/5', '{2:2,4:-4}/5'),
	('{1:1}/1000000000', '{1000000000:1}/1000000000'),
	('{1:3,2:4}/2', '{}/2'),
	('{}/2', '{1:3,2:4}/2'),
	('{}/2', '{}/2'),
	('{1:1,2:1}/2', '{1:-1,2:-1}/2')
) v(a, b);
SELECT l2_distance('{1:3}/2'::sparsevec, '{2:4}/2'), inner_product('{1:3,2:1}/2'::sparsevec, '{1:4}/2'),
	cosine_distance('{1:3}/2'::sparsevec, '{2:4}/2'), l1_distance('{1:3}/2'::sparsevec, '{2:4}/2'),
	sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2'),
	sparsevec_negative_inner_product('{1:3,2:1}/2', '{1:4}/2');
-- as the dense vectors of the same values, around the widths of vector registers
SELECT count(*), bool_and((s <-> t) = sqrt(sum_sq)) AS l2, bool_and((s <#> t) = -dot) AS ip,
	bool_and((s <+> t) = sum_abs) AS l1
FROM (SELECT array_agg(CASE WHEN i % 3 = 0 THEN 0 ELSE i % 11 END)::sparsevec AS s,
		array_agg(CASE WHEN i % 4 = 1 THEN 0 ELSE -(i % 7) END)::sparsevec AS t,
		sum((CASE WHEN i % 3 = 0 THEN 0 ELSE i % 11 END + CASE WHEN i % 4 = 1 THEN 0 ELSE i % 7 END)^2) AS sum_sq,
		sum(CASE WHEN i % 3 = 0 THEN 0 ELSE i % 11 END * -CASE WHEN i % 4 = 1 THEN 0 ELSE i % 7 END) AS dot,
		sum(abs(CASE WHEN i % 3 = 0 THEN 0 ELSE i % 11 END + CASE WHEN i % 4 = 1 THEN 0 ELSE i % 7 END)) AS sum_abs
	FROM generate_series(1, 70) n, generate_series(1, n) i GROUP BY n) v;
-- finite values have finite distances, and none vanishes
SELECT pg_temp.try(e) FROM (VALUES
	($$'{1:3e38}/2'::sparsevec <-> '{1:-3e38}/2' BETWEEN 5.9e38 AND 6.1e38$$),
	($$'{1:3e38}/2'::sparsevec <#> '{1:3e38}/2' BETWEEN -9.1e76 AND -8.9e76$$),
	($$'{1:1e-30}/2'::sparsevec <-> '{}/2' BETWEEN 0.99e-30 AND 1.01e-30$$),
	($$'{1:1e-30}/2'::sparsevec <=> '{1:1e-30}/2'$$),
	($$'{1:3e38}/2'::sparsevec <=> '{1:1e-40}/2' < 1e-6$$),
	($$'{1:1e-30}/2'::sparsevec <=> '{2:1e-30}/2'$$)
) v(e);
-- different dimensions
SELECT pg_temp.try(e) FROM (VALUES
	($$'{}/3'::sparsevec <-> '{}/4'$$),
	($$'{}/4'::sparsevec <#> '{}/3'$$),
	($$'{}/3'::sparsevec <=> '{}/4'$$),
	($$'{}/3'::sparsevec <+> '{}/4'$$),
	($$sparsevec_l2_squared_distance('{}/3', '{}/4')$$)
) v(e);

-- norm, unit length, dimensions
SELECT pg_temp.try(e) FROM (VALUES
	($$l2_norm('{1:3,3:4}/5'::sparsevec)$$),
	($$l2_norm('{}/5'::sparsevec)$$),
	($$l2_norm('{1:3e38,3:3e38}/5'::sparsevec) BETWEEN 4.2e38 AND 4.3e38$$),
	($$l2_normalize('{1:3,3:4}/5'::sparsevec)$$),
	($$l2_normalize('{2:-2}/5'::sparsevec)$$),
	($$l2_normalize('{}/5'::sparsevec)$$),
	-- what vanishes beside 3e38 is dropped
	($$l2_normalize('{1:3e38,2:1e-40}/5'::sparsevec)$$),
	($$l2_normalize('{5:1e-45}/5'::sparsevec)$$),
	($$vector_dims('{1:1}/1000000000'::sparsevec)$$)
) v(e);

-- order: that of the dense vectors, a prefix first; every pair, each operator
CREATE TEMP TABLE ordered AS
SELECT i, v::sparsevec FROM unnest(ARRAY[
	'{1:-1}/3', '{}/1', '{2:-1}/3', '{}/2', '{3:-1}/2147', '{}/3', '{4:-1}/4', '{}/4', '{4:1}/4', '{3:1}/3',
	'{2:1}/2', '{2:1,3:-1}/3', '{2:1}/3', '{2:1,3:1}/3', '{2:2}/2', '{1:1}/1', '{1:1,2:-1}/2', '{1:1}/2', '{1:1,2:1}/2'
	]) WITH ORDINALITY x(v, i);
SELECT v FROM ordered ORDER BY v, i;
SELECT a.v, b.v, sparsevec_cmp(a.v, b.v) FROM ordered a, ordered b
WHERE sparsevec_cmp(a.v, b.v) <> sign(a.i - b.i);
SELECT count(*) FROM ordered a, ordered b
WHERE (a.v < b.v, a.v <= b.v, a.v = b.v, a.v <> b.v, a.v >= b.v, a.v > b.v)
	= (a.i < b.i, a.i <= b.i, a.i = b.i, a.i <> b.i, a.i >= b.i, a.i > b.i);
SELECT count(*) FROM (SELECT DISTINCT v FROM (TABLE ordered UNION ALL TABLE ordered) x) y;
CREATE UNIQUE INDEX ordered_v ON ordered (v);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT v FROM ordered WHERE v > '{2:1}/3' ORDER BY v DESC;
SELECT i FROM ordered WHERE v = '{}/3';
SELECT pg_temp.run_code($$INSERT INTO ordered VALUES (0, '{2:1}/3')$$);
RESET enable_seqscan;
RESET enable_sort;

-- sum and avg
SELECT pg_temp.try(format('(SELECT %s(v::sparsevec) FROM (VALUES %s) t(v))', f, v))
FROM (VALUES
	(1, $$('{1:1,2:2}/4'), ('{2:4,4:-6}/4')$$),
	(2, $$('{1:1}/4'), (NULL), ('{1:2}/4'), (NULL)$$),
	(3, $$(NULL)$$),
	(4, $$('{}/7')$$),
	(5, $$('{1:1,2:1}/4'), ('{1:-1}/4')$$),
	(6, $$('{1:1}/4'), ('{1:1}/5')$$),
	(7, $$('{}/5'), ('{1:1}/4')$$),
	(8, $$('{1:3e38,2:1}/4'), ('{1:3e38}/4')$$),
	(9, $$('{1:3e38}/4'), ('{1:3e38}/4'), ('{1:-3e38,2:1e-45}/4')$$),
	(10, $$('{1000000000:1}/1000000000'), ('{1:1}/1000000000')$$)
) a(i, v), (VALUES ('sum'), ('avg')) b(f) ORDER BY i, f DESC;
SELECT sum(v), avg(v) FROM ordered WHERE false;
-- one state for both, groups, windows
SELECT i % 2 AS odd, sum(v), avg(v) FROM (SELECT i, format('{%s:%s}/3', i % 3 + 1, i)::sparsevec
	FROM generate_series(1, 9) i) t(i, v) GROUP BY 1 ORDER BY 1;
SELECT i, sum(v) OVER (ORDER BY i), avg(v) OVER (ORDER BY i ROWS 1 PRECEDING)
FROM (SELECT i, format('{%s:%s}/3', i % 3 + 1, i)::sparsevec FROM generate_series(1, 5) i) t(i, v);

-- many rows: the same sums as by hand, serial and parallel
CREATE TABLE sparse_rows AS
SELECT i, format('{%s:%s,%s:1,%s:%s,300:-1}/300', i % 101 + 1, i % 7 - 3, i % 50 + 102, i % 97 + 153, i % 5)::sparsevec AS v
FROM generate_series(1, 6000) i;
CREATE TABLE sparse_sums AS
SELECT array_agg(s ORDER BY j)::sparsevec AS v
FROM (SELECT j, sum(x) AS s FROM sparse_rows, unnest(v::vector::real[]) WITH ORDINALITY u(x, j) GROUP BY j) t;
SELECT sum(r.v) = (SELECT v FROM sparse_sums) AS sum_is_right,
	l2_distance(avg(r.v), (SELECT array_agg(x / 6000)::sparsevec FROM sparse_sums, unnest(v::vector::real[]) x)) AS avg_is_off_by
FROM sparse_rows r;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(v), avg(v) FROM sparse_rows;
SELECT sum(r.v) = (SELECT v FROM sparse_sums) AS sum_is_right, count(*) FROM sparse_rows r;
-- an ordered aggregate is never parallel
SELECT g, a.s = b.s AS same FROM (SELECT i % 3, sum(v) FROM sparse_rows GROUP BY 1) a(g, s)
JOIN (SELECT i % 3, sum(v ORDER BY i) FROM sparse_rows GROUP BY 1) b(g, s) USING (g) ORDER BY g;
-- dimensions that differ between processes
INSERT INTO sparse_rows VALUES (0, '{}/299');
SELECT left(pg_temp.try('(SELECT sum(v) FROM sparse_rows)'), 52);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE sparse_rows, sparse_sums;

-- limits: 16000 non-zeros in the result, 16 times as many on the way
CREATE TEMP TABLE wide AS
SELECT n, ('{' || string_agg(format('%s:1', n * 16000 + i), ',') || '}/1000000')::sparsevec AS v
FROM generate_series(0, 17) n, generate_series(1, 16000) i GROUP BY n;
SELECT pg_temp.try(e) FROM (VALUES
	($$(SELECT l2_norm(sum(v)) ^ 2 BETWEEN 15999.9 AND 16000.1 FROM wide WHERE n = 0)$$),
	($$(SELECT l2_norm(sum(v)) FROM wide WHERE n <= 1)$$),
	($$(SELECT l2_norm(sum(v)) FROM wide WHERE n <= 15)$$),
	($$(SELECT l2_norm(sum(v)) FROM wide)$$),
	($$(SELECT sum(v) FROM (SELECT v FROM wide WHERE n <= 3 UNION ALL
		SELECT (SELECT ('{' || string_agg(format('%s:-1', w.n * 16000 + i), ',') || '}/1000000')::sparsevec
			FROM generate_series(1, 16000) i) FROM wide w WHERE n <= 3) t)$$)
) v(e);

-- damaged values: found before they are used
BEGIN;
SET LOCAL client_min_messages = error;
CREATE CAST (bytea AS sparsevec) WITHOUT FUNCTION;
-- little-endian dim, nnz, unused, indices, values
SELECT pg_temp.try(format(f, quote_literal('\x' || replace(datum, ' ', '')) || '::bytea::sparsevec')) FROM (VALUES
	('%s', '05000000 01000000 00000000 04000000 0000803f'),
	('%s', ''),
	('%s', '05000000 01000000'),
	('%s', '05000000 00000000 00000000 00'),
	('%s', '05000000 01000000 00000000 04000000'),
	('%s', '05000000 02000000 00000000 04000000 0000803f'),
	('%s', '05000000 ffffffff 00000000 04000000 0000803f'),
	('%s', '05000000 ffffff7f 00000000 04000000 0000803f'),
	('%s', '00000000 00000000 00000000'),
	('%s', 'ffffffff 00000000 00000000'),
	('%s', '01000000 02000000 00000000 00000000 01000000 0000803f 0000803f'),
	('sparsevec_send(%s)', '05000000 02000000 00000000'),
	('l2_norm(%s)', '05000000 02000000 00000000'),
	('l2_normalize(%s)', '05000000 02000000 00000000'),
	('vector_dims(%s)', '05000000 02000000 00000000'),
	('sum(%s)', '05000000 02000000 00000000'),
	('avg(%s)', '05000000 02000000 00000000'),
	('%s::vector', '05000000 02000000 00000000'),
	-- an index out of bounds leads nowhere
	('%s::vector', '05000000 01000000 00000000 05000000 0000803f'),
	('%s::vector', '05000000 01000000 00000000 ffffffff 0000803f'),
	('%s::halfvec', '05000000 01000000 00000000 ffffff7f 0000803f'),
	('%s', '05000000 01000000 00000000 ffffff7f 0000803f'),
	('l2_norm(%s)', '05000000 01000000 00000000 ffffff7f 0000803f')
) v(f, datum);
SELECT pg_temp.try(format('''{1:1}/5'' %s %L::bytea::sparsevec', op, '\x050000000200000000000000'))
FROM unnest('{<->,<#>,<=>,<+>,<,=}'::text[]) op;
ROLLBACK;
