-- vecext_explain_choice(): what is said of each index, and that it is so.
SET jit = off;
SET max_parallel_workers_per_gather = 0;
SET max_parallel_maintenance_workers = 0;

CREATE TABLE item (id integer PRIMARY KEY, kind integer, v vector(64), h halfvec(64));
INSERT INTO item SELECT g, g % 100, random_vector(64, g), random_vector(64, -g)::halfvec
FROM generate_series(1, 3000) g;
CREATE INDEX item_l2 ON item USING hnsw (v vector_l2_ops);
VACUUM ANALYZE item;
CREATE TABLE other (id integer, item integer, v vector(64));
INSERT INTO other SELECT g, g * 10, random_vector(64, g + 9000) FROM generate_series(1, 50) g;
ANALYZE other;

CREATE FUNCTION pg_temp.choice(query text, OUT alias text, OUT index regclass, OUT verdict text, OUT reason text,
	OUT chosen text, OUT setting text, OUT costs text)
RETURNS SETOF record AS $$
	SELECT alias, index, verdict, reason, chosen, setting,
		CASE WHEN cost IS NULL THEN 'none' WHEN cost = chosen_cost THEN 'same' WHEN cost > chosen_cost THEN 'more'
			ELSE 'less' END
	FROM vecext_explain_choice(query)
$$ LANGUAGE sql;
\x on
\pset format unaligned
-- used
SELECT * FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> (SELECT random_vector(64, 70001)) LIMIT 5');
-- under other expressions, names and parameters
SELECT verdict FROM pg_temp.choice('SELECT id, v <-> $1 FROM item ORDER BY v <-> $1 LIMIT 5');
SELECT alias, verdict FROM pg_temp.choice('SELECT * FROM (SELECT id FROM item i ORDER BY 2 * l2_distance($1, v) LIMIT 5) s');
SELECT verdict, rows, round(selectivity::numeric, 4) AS selectivity
FROM vecext_explain_choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');

-- usable, but costlier: what is said to force it does
SELECT * FROM pg_temp.choice('SELECT id FROM item WHERE kind = 7 ORDER BY v <-> $1 LIMIT 20');
SELECT setting AS force, cost > chosen_cost AS costlier
FROM vecext_explain_choice('SELECT id FROM item WHERE kind = 7 ORDER BY v <-> $1 LIMIT 20') \gset
BEGIN;
:force;
SELECT verdict FROM pg_temp.choice('SELECT id FROM item WHERE kind = 7 ORDER BY v <-> $1 LIMIT 20');
ROLLBACK;
SELECT * FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 2500');

-- unusable: the order
SELECT verdict, reason, costs FROM pg_temp.choice('SELECT id FROM item');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY id LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 DESC LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 NULLS FIRST LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> random_vector(64, (random() * 9)::integer) LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY abs(v <-> $1) LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> random_vector(64, id) LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT kind FROM item GROUP BY kind, v ORDER BY v <-> $1 LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item TABLESAMPLE system (10) ORDER BY v <-> $1 LIMIT 5');
-- another column, operator or type than the index has
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <=> $1 LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v::halfvec <-> $1 LIMIT 5');
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY h <-> $1 LIMIT 5');
-- the order of another table, and joins
SELECT alias, verdict, reason FROM pg_temp.choice('SELECT 1 FROM item i JOIN other o ON o.item = i.id ORDER BY o.v <-> $1 LIMIT 5');
SELECT alias, verdict, reason FROM pg_temp.choice('SELECT 1 FROM item i RIGHT JOIN other o ON o.item = i.id ORDER BY i.v <-> $1 LIMIT 5');
SELECT verdict FROM pg_temp.choice('SELECT o.id, n.id FROM other o, LATERAL (SELECT i.id FROM item i ORDER BY i.v <-> o.v LIMIT 3) n');

-- the index and its settings
CREATE INDEX item_part ON item USING hnsw (v vector_cosine_ops) WHERE kind = 3;
SELECT index, verdict, reason FROM pg_temp.choice('SELECT id FROM item WHERE kind = 4 ORDER BY v <=> $1 LIMIT 5') ORDER BY index::text;
SELECT index, verdict FROM pg_temp.choice('SELECT id FROM item WHERE kind = 3 ORDER BY v <=> $1 LIMIT 5') ORDER BY index::text;
DROP INDEX item_part;
SET vecext.similarity_order = off;
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY 1 - (v <-> $1) DESC NULLS LAST LIMIT 5');
RESET vecext.similarity_order;
SET enable_indexscan = off;
SELECT verdict, reason, setting, costs FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');
RESET enable_indexscan;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'item_l2'::regclass;
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'item_l2'::regclass;
DROP INDEX item_l2;
SELECT * FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');
SELECT count(*) FROM pg_temp.choice('SELECT id FROM item ORDER BY id LIMIT 5');
CREATE INDEX item_bounds ON item USING hnsw (v vector_l2_ops) WITH (refine = half);
SELECT verdict, reason FROM pg_temp.choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5 FOR UPDATE');
-- two that could: each is judged on its own
CREATE INDEX item_lists ON item USING ivfflat (v vector_l2_ops);
SELECT index, verdict, setting FROM pg_temp.choice('SELECT id FROM item WHERE kind = 7 ORDER BY v <-> $1 LIMIT 20')
ORDER BY index::text;

-- partitions
CREATE TABLE part (id integer, v vector(4)) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE INDEX ON part USING hnsw (v vector_l2_ops);
SELECT "table", index, verdict FROM vecext_explain_choice('SELECT id FROM part ORDER BY v <-> $1') ORDER BY 1::text;
SELECT "table" FROM vecext_explain_choice('SELECT id FROM part WHERE id > 150 ORDER BY v <-> $1');
DROP TABLE part;

-- nothing is executed
CREATE SEQUENCE called;
SELECT count(*) FROM vecext_explain_choice('SELECT nextval(''called''), id FROM item ORDER BY v <-> $1 LIMIT 5');
SELECT is_called FROM called;
-- SELECT only, and one
\set VERBOSITY sqlstate
SELECT * FROM vecext_explain_choice('');
SELECT * FROM vecext_explain_choice('SELECT 1; SELECT 2');
SELECT * FROM vecext_explain_choice('SELECT FROM FROM');
SELECT * FROM vecext_explain_choice('DELETE FROM item');
SELECT * FROM vecext_explain_choice('SELECT id INTO more FROM item');
SELECT * FROM vecext_explain_choice('WITH d AS (DELETE FROM item RETURNING id) SELECT id FROM d');
SELECT * FROM vecext_explain_choice('EXPLAIN SELECT 1');
SELECT * FROM vecext_explain_choice('SELECT id FROM nosuch');
SELECT * FROM vecext_explain_choice('SELECT $1');
SELECT count(*) FROM vecext_explain_choice(NULL);
SELECT count(*) FROM item;
-- by the caller's rights
CREATE ROLE regress_choice;
SET ROLE regress_choice;
SELECT * FROM vecext_explain_choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');
RESET ROLE;
GRANT SELECT ON item TO regress_choice;
SET ROLE regress_choice;
SELECT verdict IS NOT NULL AS may FROM vecext_explain_choice('SELECT id FROM item ORDER BY v <-> $1 LIMIT 5');
RESET ROLE;
-- errors leave nothing behind: settings are as before, planning goes on
SHOW enable_seqscan;
\x off
\pset format aligned
DROP TABLE item, other;
DROP SEQUENCE called;
DROP ROLE regress_choice;
