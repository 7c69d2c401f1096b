-- Casts between the types and from arrays: values, errors and contexts.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- between the three types
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,0,-0,2.5]'::vector::halfvec$$),
	($$'[1,0,-0,2.5]'::vector::sparsevec$$),
	($$'[0,0]'::vector::sparsevec$$),
	($$'[1,0,-0,2.5]'::halfvec::vector$$),
	($$'[1,0,-0,2.5]'::halfvec::sparsevec$$),
	($$'{2:1.5,4:-2}/5'::sparsevec::vector$$),
	($$'{2:1.5,4:-2}/5'::sparsevec::halfvec$$),
	($$'{}/3'::sparsevec::vector$$),
	($$'{}/3'::sparsevec::halfvec$$),
	-- rounding to half: nearest even; small becomes zero, large is 22003
	($$'[0.1,2049,2051,1e-8,-1e-8,65519]'::vector::halfvec$$),
	($$'[65520]'::vector::halfvec$$),
	($$'[1,-1e30]'::vector::halfvec$$),
	($$'{2:70000}/3'::sparsevec::halfvec$$),
	($$'{2:1e-8}/3'::sparsevec::halfvec$$),
	-- nothing between sparse and dense above 16000 dimensions
	($$vector_dims('{1:1,16000:1}/16000'::sparsevec::vector)$$),
	($$'{1:1}/16001'::sparsevec::vector$$),
	($$'{1:1}/16001'::sparsevec::halfvec$$),
	($$'{1:1}/1000000000'::sparsevec::vector$$)
) v(e);
SELECT pg_temp.ones(16000)::vector::sparsevec::vector = pg_temp.ones(16000)::vector AS equal;

-- to real[]
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,-0,2.5]'::vector::real[]$$),
	($$'[1,-0,0.1]'::halfvec::real[]$$),
	($$array_ndims('[1,2]'::vector::real[]) || ',' || array_lower('[1,2]'::vector::real[], 1)$$),
	($$vector_to_float4('[1,2]', 2, false)$$),
	($$array_to_vector(ARRAY[1,2], 2, true)$$)
) v(e);
-- no cast
SELECT pg_temp.code(e) FROM (VALUES
	($$'{1:1}/2'::sparsevec::real[]$$),
	($$'[1]'::vector::float8[]$$),
	($$'[1]'::vector::integer[]$$),
	($$'[1]'::vector::bit(1)$$),
	($$B'1'::bit(1)::vector$$),
	($$'[1]'::vector::bytea$$),
	($$'[1]'::vector::json$$),
	($$'[1]'::json::vector$$),
	($$'{a}'::text[]::vector$$),
	($$'{1}'::money[]::vector$$)
) v(e);

-- from arrays to each type; the lower bound does not matter
SELECT pg_temp.try(format('%L::%s[]::%s', a, element, type))
FROM (VALUES ('vector'), ('halfvec'), ('sparsevec')) t(type),
	(VALUES (1, 'integer', '{1,-2,0}'), (2, 'real', '{1,-2.5,0}'), (3, 'float8', '{1,-2.5,0}'),
		(4, 'numeric', '{1,-2.5,0}'), (5, 'real', '[0:1]={3,4}'), (6, 'integer', '[-5:-4]={3,4}'),
		(7, 'integer', '{16777217,2147483647}'), (8, 'float8', '{0.1,1e-300}'),
		(9, 'numeric', '{0.1,0.000000001}')) a(i, element, a)
WHERE NOT (type = 'halfvec' AND i = 7)
ORDER BY type COLLATE "C" DESC, i;
-- and their errors
SELECT pg_temp.try(format('%L::%s[]::%s', a, element, type))
FROM (VALUES ('vector'), ('halfvec'), ('sparsevec')) t(type),
	(VALUES (1, 'integer', '{}'), (2, 'real', '{}'), (3, 'integer', '{1,NULL}'), (4, 'numeric', '{NULL}'),
		(5, 'integer', '{{1,2},{3,4}}'), (6, 'real', '{{1}}'), (7, 'real', '{NaN}'), (8, 'real', '{1,Infinity}'),
		(9, 'float8', '{-Infinity}'), (10, 'float8', '{NaN}'), (11, 'float8', '{1e39}'),
		(12, 'numeric', '{NaN}'), (13, 'float8', '{{1,NULL}}')) a(i, element, a)
ORDER BY type COLLATE "C" DESC, i;
-- beyond the range of halfvec
SELECT pg_temp.try(e) FROM (VALUES
	($$'{65519}'::integer[]::halfvec$$),
	($$'{65520}'::integer[]::halfvec$$),
	($$'{-1e5}'::real[]::halfvec$$),
	($$'{1e30}'::float8[]::halfvec$$),
	($$'{1e5}'::numeric[]::halfvec$$)
) v(e);
-- numeric goes through PostgreSQL's own conversion to float4
SELECT pg_temp.code(e) FROM (VALUES
	($$'{1e39}'::numeric[]::vector$$),
	($$'{1e-60}'::numeric[]::vector$$),
	($$'{1e39}'::numeric[]::sparsevec$$)
) v(e);
-- 16000 elements and one more; then typmod
SELECT pg_temp.try(format('vector_dims(array_fill(1::%s, ARRAY[%s])::%s)', element, n, type))
FROM (VALUES ('vector'), ('halfvec')) t(type), (VALUES ('integer'), ('real'), ('float8'), ('numeric')) a(element),
	(VALUES (16000), (16001)) l(n)
ORDER BY type COLLATE "C" DESC, element COLLATE "C", n;
SELECT pg_temp.try(e) FROM (VALUES
	($$array_fill(1, ARRAY[16001])::vector(3)$$),
	($$array_fill(1, ARRAY[16001])::halfvec(3)$$),
	($$array_fill(1, ARRAY[16001])::sparsevec IS NOT NULL$$),
	($$(array_fill(0, ARRAY[4000]) || array_fill(1, ARRAY[16000]))::sparsevec(20000)::text LIKE '{4001:1,%,20000:1}/20000'$$),
	($$(array_fill(0, ARRAY[4000]) || array_fill(1, ARRAY[16001]))::sparsevec IS NOT NULL$$)
) v(e);

-- assignment context: INSERT needs no cast
CREATE TEMP TABLE assigned (v vector(3), h halfvec(3), s sparsevec(3), a real[], t text);
INSERT INTO assigned (v, h, s) SELECT ARRAY[1,2,3], ARRAY[1,2,3], ARRAY[1,2,3];
INSERT INTO assigned (v, h, s) SELECT ARRAY[1,2,3]::real[], ARRAY[1,2,3]::real[], ARRAY[1,2,3]::real[];
INSERT INTO assigned (v, h, s) SELECT ARRAY[1,2,3]::float8[], ARRAY[1,2,3]::float8[], ARRAY[1,2,3]::float8[];
INSERT INTO assigned (v, h, s) SELECT ARRAY[1,2,3.0], ARRAY[1,2,3.0], ARRAY[1,2,3.0];
INSERT INTO assigned (v, h, s) SELECT '[1,2,3]'::vector, '[1,2,3]'::vector, '[1,2,3]'::vector;
INSERT INTO assigned (v, h, s) SELECT '[1,2,3]'::halfvec, '[1,2,3]'::halfvec, '[1,2,3]'::halfvec;
INSERT INTO assigned (v, h, s) SELECT s, s, s FROM (SELECT '{1:1,2:2,3:3}/3'::sparsevec) x(s);
SELECT v, h, s, count(*) FROM assigned GROUP BY v, h, s;
INSERT INTO assigned (a, t) SELECT '[1,2]'::vector, '[1,2]'::vector;
INSERT INTO assigned (a, t) SELECT '[1,2]'::halfvec, '[1,2]'::halfvec;
SELECT a, t FROM assigned WHERE a IS NOT NULL;

-- implicit context, where a function or operator wants another type
CREATE FUNCTION pg_temp.first(real[]) RETURNS real LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION pg_temp.is_vector(vector) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT pg_temp.try(e) FROM (VALUES
	($$pg_temp.first('[7,2]'::vector)$$),
	($$'[1,2]'::vector = '[1,2]'::halfvec$$),
	($$'[1,2]'::vector <-> '{1:1}/2'::sparsevec$$),
	($$'[1,2]'::halfvec <-> '{1:1}/2'::sparsevec$$),
	($$'[1,2]'::vector <-> '[1,4]'::halfvec$$),
	($$'[1,2]'::halfvec <=> '[1,2]'::vector$$),
	($$pg_typeof('[1]'::vector + '[1]'::halfvec)$$),
	($$l2_norm('[3,4]'::halfvec)$$),
	($$'[1,2]'::text::vector$$),
	($$'[1,2]'::varchar::vector$$)
) v(e);
-- and where none applies
SELECT pg_temp.code(e) FROM (VALUES
	($$vector_dims(ARRAY[1,2])$$),
	($$pg_temp.is_vector(ARRAY[1,2]::real[])$$),
	($$pg_temp.is_vector('[1,2]'::halfvec)$$),
	($$pg_temp.is_vector('{1:1}/2'::sparsevec)$$),
	($$pg_temp.is_vector('[1,2]'::text)$$),
	($$pg_temp.first('[1,2]'::halfvec)$$),
	($$vector_norm(ARRAY[1,2]::real[])$$),
	($$vector_norm('[1,2]'::halfvec)$$),
	($$'[1,2]'::vector <-> ARRAY[1,2]$$),
	($$'[1,2]'::vector <-> '[1,2]'::text$$),
	($$array_length('[1,2]'::vector, 1)$$),
	($$sparsevec_cmp('{1:1}/2', ARRAY[1,2])$$)
) v(e);
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod FROM pg_cast
WHERE castsource IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
	OR casttarget IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
