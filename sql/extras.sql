-- What vecext adds under new names, and distances that stay finite.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- norm and dimensions for every type
SELECT l2_norm('[3,4]'::vector), l2_norm('[3e37,4e37]'::vector)::real, l2_norm('[0]'::vector),
	vector_dims('{1:1,3:2}/5'::sparsevec), vector_dims('{}/1000000000'::sparsevec);

-- scalars: vector * real, real * vector, vector / real, unary minus
SELECT pg_temp.try(e, type) FROM (VALUES ('vector'), ('halfvec')) t(type), (VALUES
	(1, $$'[1,-2,0]'::T * 2::real$$),
	(2, $$2::real * '[1,-2,0]'::T$$),
	(3, $$'[1,-2,3]'::T * 0.5$$),
	(4, $$2 * '[1,-2,3]'::T$$),
	(5, $$'[1,-2,0]'::T / 2$$),
	(6, $$'[1,-2,0]'::T / (-0.5)::real$$),
	(7, $$- '[1,-2,0,-0]'::T$$),
	(8, $$- - '[1,-2]'::T$$),
	(9, $$'[1,2]'::T * NULL::real$$),
	(10, $$- NULL::T$$),
	(11, $$pg_typeof('[1]'::T * 2)$$),
	(12, $$pg_typeof(- '[1]'::T)$$),
	(13, $$'[1,2]'::T * '[3,4]'$$),
	(14, $$'[1,2]'::T / 0::real$$),
	(15, $$'[0]'::T / 0::real$$),
	(16, $$'[1]'::T * 'NaN'::real$$),
	(17, $$'[1]'::T * 'Infinity'::real$$),
	(18, $$'[1]'::T / 'NaN'::real$$),
	(19, $$'[1]'::T / 'Infinity'::real$$),
	(20, $$'[0,1]'::T * 0::real$$),
	(21, $$'[2,4]'::T + - '[1,1]'::T * 3$$)
) v(i, e) ORDER BY type COLLATE "C" DESC, i;
-- range of the element type
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,3e38]'::vector * 10$$),
	($$'[1e-30]'::vector * 1e-30$$),
	($$'[1e30]'::vector / 1e-30::real$$),
	($$'[1e-30]'::vector / 1e30::real$$),
	($$'[65504]'::halfvec * 2$$),
	($$'[6e-8]'::halfvec * 0.1$$),
	($$'[65504]'::halfvec / 0.5$$),
	($$'[6e-8]'::halfvec / 10$$),
	($$'[2]'::halfvec * 100000::real$$),
	($$'[6e-8]'::halfvec * 100000::real$$)
) v(e);

-- elements and slices, counted from 1 as in arrays
CREATE TEMP TABLE sub (i integer, v vector(4), h halfvec(4));
INSERT INTO sub VALUES (2, '[10,20,30,40]', '[1,2,3,4]'), (NULL, NULL, NULL);
SELECT v[1], v[4], v[i], v[i + 1], h[1], h[i], pg_typeof(v[1]), pg_typeof(h[1]) FROM sub;
SELECT v[2:3], v[:2], v[3:], v[:], v[i:i], h[2:3], pg_typeof(v[1:2]), pg_typeof(h[1:2]) FROM sub;
SELECT pg_temp.try(e) FROM (VALUES
	($$('[10,20,30]'::vector)[1]$$),
	($$('[10,20,30]'::vector)[0]$$),
	($$('[10,20,30]'::vector)[4]$$),
	($$('[10,20,30]'::vector)[-1]$$),
	($$('[10,20,30]'::vector)[2147483647]$$),
	($$('[10,20,30]'::vector)[-2147483648]$$),
	($$('[10,20,30]'::vector)[NULL]$$),
	($$('[10,20,30]'::vector)['2']$$),
	($$('[10,20,30]'::vector)[0:2]$$),
	($$('[10,20,30]'::vector)[2:9]$$),
	($$('[10,20,30]'::vector)[3:2]$$),
	($$('[10,20,30]'::vector)[4:5]$$),
	($$('[10,20,30]'::vector)[-2147483648:2147483647]$$),
	($$('[10,20,30]'::vector)[NULL:2]$$),
	($$('[10,20,30]'::vector)[1:NULL]$$),
	($$('[10,20,30]'::halfvec)[3]$$),
	($$('[10,20,30]'::halfvec)[4]$$),
	($$('[10,20,30]'::halfvec)[2:9]$$),
	($$('[10,20,30]'::vector)[2:3][1]$$),
	($$(('[10,20,30]'::vector)[2:3])[1]$$),
	($$(NULL::vector)[1]$$)
) v(e);
SELECT pg_temp.code(e) FROM (VALUES
	($$('[10,20,30]'::vector)['a']$$),
	($$('[10,20,30]'::vector)[ARRAY[1]]$$),
	($$('[10,20,30]'::vector)[1][1]$$),
	($$('[10,20,30]'::vector)[1:2][1:2]$$)
) v(e);
-- read only
SELECT pg_temp.run(e) FROM (VALUES
	($$UPDATE sub SET v[1] = 5$$),
	($$UPDATE sub SET v[1:2] = '[5,6]'$$),
	($$UPDATE sub SET h[1] = 5$$),
	($$INSERT INTO sub (v[1]) VALUES (5)$$)
) v(e);
SELECT v, h FROM sub WHERE v IS NOT NULL;
-- arrays of vectors still subscript as arrays
SELECT (ARRAY['[1,2]'::vector, '[3,4]'])[2], ((ARRAY['[1,2]'::vector, '[3,4]'])[2])[1];

-- bigint[] and smallint[]
SELECT pg_temp.try(format('%L::%s[]::%s', a, element, type))
FROM (VALUES ('vector'), ('halfvec'), ('sparsevec')) t(type),
	(VALUES (1, 'bigint', '{1,-2,0}'), (2, 'smallint', '{1,-2,0}'), (3, 'bigint', '{9223372036854775807,-9223372036854775808}'),
		(4, 'smallint', '{32767,-32768}'), (5, 'bigint', '{}'), (6, 'smallint', '{1,NULL}'), (7, 'bigint', '{{1},{2}}'),
		(8, 'bigint', '{16777217,16777219}'), (9, 'bigint', '{2305843146652647425}')) a(i, element, a)
ORDER BY type COLLATE "C" DESC, i;
CREATE TEMP TABLE assigned (v vector(2), h halfvec(2), s sparsevec(2));
INSERT INTO assigned SELECT a, a, a FROM (SELECT ARRAY[1,2]::bigint[]) x(a);
INSERT INTO assigned SELECT a, a, a FROM (SELECT ARRAY[1,2]::smallint[]) x(a);
SELECT * FROM assigned;
SELECT pg_temp.try('ARRAY[1,2,3]::bigint[]::vector(2)');

-- avg and sum of sparsevec
SELECT avg(v), sum(v) FROM (VALUES ('{1:1,3:2}/5'::sparsevec), (NULL), ('{1:-1,3:2,5:6}/5')) t(v);
SELECT avg(v), sum(v) FROM (VALUES (NULL::sparsevec)) t(v);
SELECT avg(v), sum(v) FROM (SELECT '{1:1}/2'::sparsevec WHERE false) t(v);
SELECT avg(v), sum(v) FROM (VALUES ('{}/1000000000'::sparsevec), ('{1000000000:3}/1000000000')) t(v);
SELECT pg_temp.try(format('(SELECT %s(v::sparsevec) FROM (VALUES (''{1:1}/2''), (''{1:1}/3'')) t(v))', f))
FROM (VALUES ('avg'), ('sum')) v(f);
SELECT pg_temp.try($$(SELECT sum(v) FROM (VALUES ('{1:3e38}/2'::sparsevec), ('{1:3e38}/2')) t(v))$$);
SELECT avg(v) FROM (VALUES ('{1:3e38}/2'::sparsevec), ('{1:3e38}/2')) t(v);
-- all different places: more than 16000 non-zeros
SELECT pg_temp.try($$(SELECT sum(v) FROM (SELECT format('{%s:1}/20000', i)::sparsevec FROM generate_series(1, 16001) i) t(v))$$);
SELECT pg_temp.try($$(SELECT vector_dims(avg(v)) FROM (SELECT format('{%s:1}/20000', i)::sparsevec FROM generate_series(1, 16001) i) t(v))$$);
CREATE TABLE sparse_agg (v sparsevec) WITH (parallel_workers = 2);
INSERT INTO sparse_agg SELECT format('{%s:%s,50:1}/50', i % 49 + 1, i % 49 + 1)::sparsevec FROM generate_series(1, 4900) i;
ANALYZE sparse_agg;
CREATE TEMP TABLE serial AS SELECT avg(v) AS a, sum(v) AS s FROM sparse_agg;
SELECT s FROM serial;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM sparse_agg;
SELECT avg(v) = a AS avg_equal, sum(v) = s AS sum_equal FROM sparse_agg, serial GROUP BY a, s;
COMMIT;
DROP TABLE sparse_agg;

-- pseudo-random vectors, the same for the same seed everywhere
SELECT vector_dims(random_vector(1, 1)), vector_dims(random_vector(16000, -1)), pg_typeof(random_vector(3, 42));
SELECT random_vector(5, 42) = random_vector(5, 42) AS same, random_vector(5, 42) <> random_vector(5, 43) AS other,
	subvector(random_vector(6, 42), 1, 5) IS NOT NULL AS not_null;
SELECT random_vector(3, 42);
SELECT count(DISTINCT random_vector(4, seed)) FROM generate_series(-500, 499) seed;
SELECT bool_and(x BETWEEN -1 AND 1) AS bounded, abs(avg(x)) < 0.05 AS centered, stddev(x) > 0.3 AS spread
FROM generate_series(1, 20) seed, unnest(random_vector(500, seed)::real[]) x;
SELECT pg_temp.try(e) FROM (VALUES
	($$random_vector(0, 1)$$),
	($$random_vector(-5, 1)$$),
	($$random_vector(16001, 1)$$),
	($$random_vector(NULL, 1)$$)
) v(e);

-- which instruction set runs, and that it can be forced
SELECT vecext_simd() IN ('scalar', 'avx2', 'avx512', 'neon') AS known;
SELECT current_setting('vecext.simd') AS simd \gset
SET vecext.simd = 'scalar';
SELECT vecext_simd();
SELECT '[1,2,3]'::vector <-> '[4,6,3]', '[1,2,3]'::halfvec <+> '[4,6,3]', B'1010' <~> B'0110';
SET vecext.simd = :'simd';
SELECT pg_temp.code($$set_config('vecext.simd', 'mmx', false)$$);

-- finite vectors have finite distances that do not vanish
\set ECHO none
CREATE TEMP TABLE extreme (type text, a text, b text);
INSERT INTO extreme VALUES
	('vector', '[1e20,0]', '[0,0]'), ('vector', '[1e-30,1e-30]', '[0,0]'), ('vector', '[1e-30,0]', '[1e-30,0]'),
	('vector', '[1e-30,0]', '[0,1e-30]'), ('vector', '[3e38]', '[-3e38]'), ('vector', '[3e38,3e38]', '[3e38,3e38]'),
	('vector', '[1e20,1e20]', '[1e20,-1e20]'), ('vector', '[1e-45]', '[-1e-45]'), ('vector', '[1e30,1]', '[1e-30,1]'),
	('vector', '[1e-23,1e-23,1e-23]', '[1e-23,2e-23,1e-23]'), ('vector', '[1e-45,3e38]', '[1e-45,-3e38]'),
	('halfvec', '[65504,65504]', '[-65504,-65504]'), ('halfvec', '[6e-8,0]', '[0,6e-8]'), ('halfvec', '[6e-8]', '[6e-8]'),
	('sparsevec', '{1:1e20}/2', '{}/2'), ('sparsevec', '{1:1e-30,2:1e-30}/2', '{}/2'), ('sparsevec', '{1:1e-30}/2', '{1:1e-30}/2'),
	('sparsevec', '{1:3e38}/1', '{1:-3e38}/1'), ('sparsevec', '{1:1e20,2:1e20}/2', '{1:1e20,2:-1e20}/2');
\set ECHO all
-- significant digits are cut to what float4 elements carry
CREATE FUNCTION pg_temp.short(x float8) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN x IN (0, 'NaN', 'Infinity', '-Infinity') THEN x::text ELSE to_char(x, '9.9999EEEE') END $$;
CREATE FUNCTION pg_temp.distances(type text, a text, b text, OUT l2 text, OUT ip text, OUT cosine text, OUT l1 text, OUT l2sq text)
LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('SELECT pg_temp.short(a <-> b), pg_temp.short(inner_product(a, b)), pg_temp.short(a <=> b), pg_temp.short(a <+> b),
		pg_temp.short(%1$s_l2_squared_distance(a, b)) FROM (SELECT %2$L::%1$s AS a, %3$L::%1$s AS b) s', type, a, b)
	INTO l2, ip, cosine, l1, l2sq;
END $$;
SELECT type, a, b, d.* FROM extreme, pg_temp.distances(type, a, b) d;
SELECT type, a, b, d.* FROM extreme, pg_temp.distances(type, b, a) d WHERE d <> pg_temp.distances(type, a, b);
-- at every length, wherever the large or small element lies
SELECT scale, count(*) AS cases, count(*) FILTER (WHERE (a <-> zero) / scale BETWEEN 0.999999 AND 1.000001
	AND inner_product(a, a) / scale::float8 ^ 2 BETWEEN 0.999999 AND 1.000001
	AND abs(a <=> a) < 1e-6 AND abs((a <=> -a) - 2) < 1e-6
	AND (a <+> zero) / scale BETWEEN 0.999999 AND 1.000001) AS good
FROM (VALUES (1e30), (3e38), (1e-30), (1e-38)) s(scale), unnest(ARRAY[1, 3, 8, 17, 33, 70]) d, generate_series(1, d) place,
	LATERAL (SELECT array_agg(CASE WHEN i = place THEN scale ELSE 0 END ORDER BY i)::vector AS a,
		array_fill(0, ARRAY[d])::vector AS zero FROM generate_series(1, d) i) q
GROUP BY scale ORDER BY scale;
-- only the zero vector has no direction
SELECT '[0,0]'::vector <=> '[1e-45,0]', '[0,0]'::vector <=> '[3e38,3e38]', '{}/2'::sparsevec <=> '{1:1}/2';
