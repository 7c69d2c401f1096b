-- The types inside what SQL builds of types: domains, rows, arrays, partitions, functions.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- domains
CREATE DOMAIN short_vector AS vector(3) CHECK (vector_norm(VALUE) < 10);
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,2,3]'::short_vector$$),
	($$'[10,20,30]'::short_vector$$),
	($$'[1,2]'::short_vector$$),
	($$ARRAY[1,2,3]::short_vector$$),
	($$('[1,2,3]'::short_vector)[2]$$),
	($$'[1,2,3]'::short_vector <-> '[1,2,5]'$$)
) v(e);
DROP DOMAIN short_vector;

-- rows and arrays
CREATE TYPE pair AS (v vector(2), h halfvec);
SELECT ROW('[1,2]', '[3]')::pair, (ROW('[1,2]', '[3]')::pair).v[2];
SELECT pg_temp.try($$ROW('[1]', '[3]')::pair$$);
DROP TYPE pair;
SELECT ARRAY['[1,2]'::vector, '[3]'] || '[4]'::vector, array_position(ARRAY['[1,2]'::vector, '[3]'], '[3]'),
	'[3]'::vector = ANY (ARRAY['[1,2]'::vector, '[3]']), ARRAY['[1]'::vector] < ARRAY['[2]'::vector];
SELECT unnest(ARRAY['{1:1}/2'::sparsevec, NULL, '{2:1}/2']);
SELECT to_jsonb('[1,2]'::vector), json_build_object('v', '{1:1}/2'::sparsevec), (jsonb '{"v": "[1,2]"}' ->> 'v')::vector;

-- default values, generated columns, checks, upserts
CREATE TABLE doc (id integer PRIMARY KEY, v vector(2) DEFAULT '[0,0]', norm float8 GENERATED ALWAYS AS (vector_norm(v)) STORED,
	b bit(2) GENERATED ALWAYS AS (binary_quantize(v)::bit(2)) STORED, CONSTRAINT no_nines CHECK (v <> '[9,9]'));
INSERT INTO doc VALUES (1, '[3,4]'), (2, DEFAULT), (3, NULL);
INSERT INTO doc VALUES (1, '[6,8]') ON CONFLICT (id) DO UPDATE SET v = doc.v + excluded.v;
SELECT pg_temp.try($$(SELECT v FROM doc WHERE v = '[9,12]')$$);
SELECT pg_temp.run_code($$UPDATE doc SET v = '[9,9]'$$);
UPDATE doc SET v = v * 2 WHERE id = 1 RETURNING *;
SELECT * FROM doc ORDER BY id;
CREATE INDEX doc_norm ON doc (vector_norm(v));
CREATE INDEX doc_first ON doc ((v[1])) WHERE v IS NOT NULL;
INSERT INTO doc VALUES (4, '[5,12]');
SET enable_seqscan = off;
SELECT id FROM doc WHERE vector_norm(v) < 14 ORDER BY vector_norm(v);
SELECT id FROM doc WHERE v[1] > 4 AND v IS NOT NULL ORDER BY v[1];
RESET enable_seqscan;
-- rewritten as each other type, by the implicit casts
DROP INDEX doc_norm, doc_first;
ALTER TABLE doc DROP norm, DROP b;
ALTER TABLE doc ALTER v TYPE halfvec(2);
ALTER TABLE doc ALTER v TYPE sparsevec(2);
ALTER TABLE doc DROP CONSTRAINT no_nines;
ALTER TABLE doc ALTER v DROP DEFAULT, ALTER v TYPE text;
SELECT * FROM doc ORDER BY id;
DROP TABLE doc;

-- sets
CREATE TEMP TABLE item (id integer, v vector);
INSERT INTO item VALUES (1, '[1,2]'), (2, '[1,2]'), (3, '[3]'), (4, NULL);
SELECT v FROM item UNION SELECT '[3]' ORDER BY 1;
SELECT v FROM item INTERSECT SELECT '[1,2]';
SELECT v FROM item EXCEPT SELECT '[1,2]' ORDER BY 1;
SELECT a.id, b.id FROM item a LEFT JOIN item b ON a.v = b.v AND a.id <> b.id ORDER BY 1, 2;
SELECT count(*) FROM item a FULL JOIN item b USING (id, v);
SELECT id, rank() OVER (ORDER BY v), lag(v) OVER (ORDER BY id) FROM item ORDER BY id;
SELECT id FROM item WHERE v IN (SELECT v FROM item WHERE id = 2) ORDER BY id;
SELECT array_agg(DISTINCT v), (array_agg(v ORDER BY v DESC NULLS LAST))[1] FROM item;

-- partitions by range; by hash there is no class
CREATE TABLE part (v vector(2)) PARTITION BY RANGE (v);
CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (MINVALUE) TO ('[5,5]');
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM ('[5,5]') TO (MAXVALUE);
INSERT INTO part VALUES ('[1,1]'), ('[5,5]'), ('[5,4]'), ('[7,0]');
SELECT tableoid::regclass, v FROM part ORDER BY v;
EXPLAIN (COSTS OFF) SELECT * FROM part WHERE v < '[2,2]';
DROP TABLE part;
SELECT pg_temp.run_code('CREATE TABLE part (v vector(2)) PARTITION BY HASH (v)');

-- functions
CREATE FUNCTION pg_temp.first_two(v vector) RETURNS real LANGUAGE sql AS 'SELECT (v)[1] + (v)[2]';
SELECT pg_temp.first_two('[1,2,3]');
CREATE FUNCTION pg_temp.walk(v vector) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	w vector(2);
	total real := 0;
BEGIN
	FOR i IN 1 .. vector_dims(v) LOOP
		total := total + v[i];
	END LOOP;
	w := ARRAY[total, -total];
	RETURN w || v[2:3];
END $$;
SELECT pg_temp.walk('[1,2,3]');
SELECT pg_temp.attempt($$DO 'DECLARE v vector := ''[1,2]''; BEGIN v[1] := 5; END'$$, false, true);

-- a cursor, both ways
BEGIN;
DECLARE near SCROLL CURSOR FOR SELECT id FROM item WHERE v IS NOT NULL AND vector_dims(v) = 2 ORDER BY v <-> '[1,2]', id;
FETCH 2 FROM near;
FETCH BACKWARD 1 FROM near;
COMMIT;
