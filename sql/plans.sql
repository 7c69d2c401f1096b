-- Exact nearest neighbours: plans, results, parameters.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

CREATE TABLE item (id integer PRIMARY KEY, owner integer, v vector(3), h halfvec(3), s sparsevec(3), b bit(8));
INSERT INTO item SELECT i, i % 5, a, a, a, (i % 256)::bit(8)
FROM generate_series(0, 999) i, LATERAL (SELECT ARRAY[i % 10, i / 10 % 10, i / 100]) x(a);
INSERT INTO item (id, owner) VALUES (1000, 0), (1001, 1);
CREATE TABLE owner (id integer PRIMARY KEY, name text);
INSERT INTO owner VALUES (0, 'ann'), (1, 'bob'), (2, 'cat'), (3, 'dan'), (4, 'eve');
ANALYZE item;
ANALYZE owner;

SET max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF) SELECT id FROM item ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT id, v <-> '[1,2,3]' AS distance FROM item ORDER BY v <-> '[1,2,3]', id LIMIT 5;
SELECT id, h <+> '[1,2,3]' AS distance FROM item ORDER BY h <+> '[1,2,3]', id LIMIT 5;
SELECT id, s <#> '{1:1,2:2,3:3}/3' AS distance FROM item ORDER BY s <#> '{1:1,2:2,3:3}/3', id LIMIT 3;
SELECT id, b <~> B'00001111' AS distance FROM item ORDER BY b <~> B'00001111', id LIMIT 3;
SELECT id, b <%> B'00001111' AS distance FROM item ORDER BY b <%> B'00001111', id LIMIT 3;

-- NaN of the zero vector after every number, NULL last of all
SELECT id, v <=> '[1,0,0]' AS distance FROM item WHERE id IN (0, 1, 20, 1000) ORDER BY 2, 1;
-- a NULL query
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> NULL LIMIT 5) q;

-- filter, join, distance condition
EXPLAIN (COSTS OFF) SELECT id FROM item WHERE owner = 3 ORDER BY v <=> '[1,2,3]' LIMIT 5;
SELECT i.id, name FROM item i JOIN owner o ON o.id = owner WHERE name IN ('bob', 'eve') ORDER BY v <-> '[4,4,4]', i.id LIMIT 4;
SELECT count(*) FROM item WHERE v <-> '[5,5,5]' <= 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM item WHERE v <-> '[5,5,5]' <= 1;
-- nearest other item of each
SELECT a.id, n.id FROM item a, LATERAL (SELECT id FROM item b WHERE b.id <> a.id ORDER BY b.v <-> a.v, b.id LIMIT 1) n
WHERE a.id IN (0, 555, 999) ORDER BY 1;
-- nearest by subquery
SELECT id FROM item WHERE id <> 555 ORDER BY v <-> (SELECT v FROM item WHERE id = 555), id LIMIT 3;

-- parameters: typed, text with a cast, and of unknown type
PREPARE typed(vector) AS SELECT id FROM item ORDER BY v <-> $1, id LIMIT 2;
EXECUTE typed('[7,7,7]');
PREPARE as_text(text) AS SELECT id FROM item ORDER BY v <=> $1::vector, id LIMIT 2;
EXECUTE as_text('[7,7,7]');
PREPARE unknown AS SELECT id FROM item ORDER BY v <-> $1, id LIMIT 2;
EXECUTE unknown('[7,7,7]');
SELECT pg_temp.try('(SELECT id FROM item ORDER BY v <-> ''[1,2]'' LIMIT 1)');

-- reading long vectors is worth a parallel scan where its table alone would not be
SET max_parallel_workers_per_gather = 2;
CREATE TABLE wide (id integer, v vector(1536)) WITH (parallel_workers = 2);
INSERT INTO wide SELECT i, random_vector(1536, i) FROM generate_series(1, 2000) i;
ANALYZE wide;
SET parallel_setup_cost = 200;
SET plan_cache_mode = force_generic_plan;
PREPARE near(vector) AS SELECT id FROM wide ORDER BY v <-> $1 LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE near(NULL);
EXPLAIN (COSTS OFF) SELECT id FROM wide ORDER BY -id LIMIT 3;
SELECT id FROM wide ORDER BY v <-> random_vector(1536, 1000) LIMIT 1;
RESET plan_cache_mode;
RESET parallel_setup_cost;
RESET max_parallel_workers_per_gather;
DROP TABLE wide, owner, item;
