-- Type modifiers: vector(n), halfvec(n), sparsevec(n).
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- what n may be
SELECT pg_temp.run(format('CREATE TEMP TABLE t_%s_%s (v %s(%s))', type, n, type, n))
FROM (VALUES ('vector', '1'), ('vector', '16000'), ('halfvec', '1'), ('halfvec', '16000'),
	('sparsevec', '1'), ('sparsevec', '1000000000')) v(type, n);
SELECT pg_temp.try(format('NULL::%s(%s)', type, n))
FROM (VALUES ('vector', 16001), ('halfvec', 16001), ('sparsevec', 1000000001)) m(type, max),
	LATERAL (VALUES (1, '0'), (2, '-1'), (3, max::text), (4, '2147483647'), (5, '3, 4'), (6, '3, 4, 5')) v(i, n)
ORDER BY type COLLATE "C", i;
-- PostgreSQL's own errors
SELECT pg_temp.code(e) FROM (VALUES
	($$NULL::vector('a')$$),
	($$NULL::vector(1.5)$$),
	($$NULL::vector(99999999999)$$),
	($$NULL::vector()$$),
	($$NULL::halfvec('a')$$),
	($$NULL::sparsevec('a')$$)
) v(e);
SELECT pg_temp.try($$NULL::vector('3')$$);

-- the modifier is n itself, printed in the common form
CREATE TEMP TABLE shown (a vector(3), b halfvec(4), c sparsevec(1000000000), d vector, e vector(2)[]);
SELECT attname, atttypmod, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'shown'::regclass AND attnum > 0 ORDER BY attnum;

-- input, cast and assignment
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,2,3]'::vector(3)$$),
	($$'[1,2]'::vector(3)$$),
	($$'[1,2,3,4]'::vector(3)$$),
	($$'[1,2,3]'::halfvec(3)$$),
	($$'[1,2]'::halfvec(3)$$),
	($$'{1:1}/3'::sparsevec(3)$$),
	($$'{1:1}/2'::sparsevec(3)$$),
	($$'[1,2]'::vector::vector(2)$$),
	($$'[1,2]'::vector::vector(3)$$),
	($$'[1,2]'::vector(2)::vector(3)$$),
	($$'[1,2]'::vector(2)::vector$$),
	($$'[1,2]'::halfvec::halfvec(3)$$),
	($$'{1:1}/2'::sparsevec::sparsevec(3)$$),
	($$'[1,2]'::vector::halfvec(3)$$),
	($$'[1,2]'::vector::sparsevec(3)$$),
	($$'[1,2]'::halfvec::vector(3)$$),
	($$'[1,2]'::halfvec::sparsevec(3)$$),
	($$'{1:1}/2'::sparsevec::vector(3)$$),
	($$'{1:1}/2'::sparsevec::halfvec(3)$$),
	($$'{1,2}'::integer[]::vector(3)$$),
	($$'{1,2}'::real[]::vector(3)$$),
	($$'{1,2}'::float8[]::halfvec(3)$$),
	($$'{1,2}'::numeric[]::sparsevec(3)$$),
	($$'{1,2}'::integer[]::vector(2)$$),
	($$CAST(ARRAY[1,2] AS vector(3))$$)
) v(e);

CREATE TEMP TABLE checked (v vector(3), h halfvec(3), s sparsevec(3), a vector(3)[]);
SELECT pg_temp.run(e) FROM (VALUES
	($$INSERT INTO checked (v) VALUES ('[1,2,3]')$$),
	($$INSERT INTO checked (v) VALUES ('[1,2]')$$),
	($$INSERT INTO checked (v) SELECT '[1,2]'::vector$$),
	($$INSERT INTO checked (v) SELECT ARRAY[1,2]$$),
	($$INSERT INTO checked (h) VALUES ('[1,2]')$$),
	($$INSERT INTO checked (h) SELECT '[1,2]'::vector$$),
	($$INSERT INTO checked (s) VALUES ('{1:1}/2')$$),
	($$INSERT INTO checked (s) SELECT '[1,2]'::vector$$),
	($$INSERT INTO checked (a) VALUES ('{"[1,2,3]","[4,5,6]"}')$$),
	($$INSERT INTO checked (a) VALUES ('{"[1,2,3]","[4,5]"}')$$),
	($$INSERT INTO checked (a) SELECT ARRAY['[1,2]'::vector]$$),
	($$UPDATE checked SET v = '[1,2,3,4]' WHERE v IS NOT NULL$$),
	($$ALTER TABLE checked ALTER v TYPE vector(2)$$),
	($$ALTER TABLE checked ALTER v TYPE vector$$),
	($$UPDATE checked SET v = '[1,2,3,4]' WHERE v IS NOT NULL$$)
) v(e);
SELECT v, a FROM checked;

-- without a modifier a column mixes dimensions
CREATE TEMP TABLE mixed (v vector);
INSERT INTO mixed VALUES ('[1]'), ('[1,2]'), ('[1,2,3]');
SELECT v, vector_dims(v) FROM mixed ORDER BY vector_dims(v);
