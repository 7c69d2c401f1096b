-- Options, settings and refusals of the access method ivfflat.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- settings, given before the library is loaded
SET ivfflat.probes = 77;
SET ivfflat.max_probes = 0;
SELECT '[1]'::vector;
SHOW ivfflat.probes;
SHOW ivfflat.max_probes;
RESET ivfflat.probes;
SELECT name, setting, min_val, max_val, enumvals, context FROM pg_settings WHERE name LIKE 'ivfflat.%' ORDER BY name COLLATE "C";
SELECT pg_temp.run_code('SET ivfflat.probes = ' || n) FROM unnest(ARRAY[-1, 0, 1, 32768, 32769]) n;
SELECT pg_temp.run_code('SET ivfflat.max_probes = ' || n) FROM unnest(ARRAY[0, 1, 32768, 32769]) n;
SELECT pg_temp.run_code('SET ivfflat.scan_mem_multiplier = ' || n) FROM unnest(ARRAY[0.9, 1, 1000, 1001]) n;
SELECT pg_temp.run_code('SET ivfflat.iterative_scan = ' || n) FROM unnest(ARRAY['on', 'off', 'relaxed_order', 'strict_order']) n;
SELECT pg_temp.run_code('SET ivfflat.nonsense = 1');
RESET ALL;

-- storage parameters
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 10) i;
SET client_min_messages = warning;
SELECT pg_temp.run(format('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (%s)', o)) FROM unnest(ARRAY[
	'lists = 0', 'lists = 1', 'lists = 10', 'lists = 32768', 'lists = 32769',
	'quantizer = rabitq', 'quantizer = int8', 'quantizer = none',
	'refine = full', 'refine = half', 'refine = int8', 'refine = heap',
	'quantizer = none, refine = full', 'quantizer = none, refine = half', 'quantizer = int8, refine = heap']) o;
RESET client_min_messages;
SELECT pg_temp.run_code(format('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (%s)', o)) FROM unnest(ARRAY[
	'lists = x', 'nonsense = 1', 'refine = nothing', 'quantizer = some', 'm = 10']) o;
SELECT indexdef FROM pg_indexes WHERE tablename = 'item' ORDER BY indexname COLLATE "C";
SET enable_seqscan = off;
SELECT id FROM item ORDER BY v <-> '[6.9,6.9,6.9]' LIMIT 2;
DROP TABLE item;

-- codes are for some classes only
CREATE TABLE item (id integer, v vector(3), b bit(8));
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l1_ops) WITH (quantizer = rabitq)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (b bit_hamming_ops) WITH (refine = half)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (b bit_hamming_ops) WITH (quantizer = none)');
DROP TABLE item;

-- little data, equal data, more lists than memory has room for
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 10) i;
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops) WITH (lists = 100);
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> '[7,7,7]') q;
UPDATE item SET v = '[1,1,1]';
REINDEX INDEX item_v;
SELECT count(*) FROM (SELECT id FROM item ORDER BY v <-> '[7,7,7]') q;
DROP TABLE item;
CREATE TABLE item (v vector(2000));
INSERT INTO item SELECT random_vector(2000, g) FROM generate_series(1, 1000) g;
SET maintenance_work_mem = '1MB';
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops) WITH (lists = 1000);
RESET maintenance_work_mem;
DROP TABLE item;

-- lists that end without rows, between others whose centroids are made of several rows
CREATE TABLE item (v sparsevec(3));
INSERT INTO item SELECT (v || '/3')::sparsevec FROM unnest(string_to_array(
	'{1:50,2:-50,3:50} {1:0,3:-50,2:-50} {2:50,1:-0,3:50} {1:-50,2:-50,3:-0} {1:0,3:-50,2:-50} {2:50,1:-0,3:50} {2:50,1:-0,3:50} {1:0,3:-50,2:-50} {1:0,3:-50,2:-50} {2:50,1:-0,3:50} {3:50,1:-50,2:50} {2:50,1:-0,3:50} {1:0,3:-50,2:-50} {1:-50,2:-50,3:-0} {1:0,3:-50,2:-50} {2:50,1:-0,3:50} {1:-50,2:-50,3:-0} {2:50,1:-0,3:50} {1:-50,2:-50,3:-0} {1:0,3:-50,2:-50} {} {1:-50,2:-50,3:-0} {2:50,1:-0,3:50} {3:50}', ' ')) v;
SET client_min_messages = warning;
CREATE INDEX item_v ON item USING ivfflat (v sparsevec_ip_ops) WITH (lists = 100);
RESET client_min_messages;
SELECT * FROM vecext_index_check('item_v', true);
DROP TABLE item;

-- centroids from a table
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 100) i;
CREATE SCHEMA apart;
CREATE TABLE apart.mine (c vector(3));
INSERT INTO apart.mine SELECT ARRAY[i, i, i] FROM generate_series(5, 95, 10) i;
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops) WITH (centroids = 'apart.mine');
SET ivfflat.iterative_scan = off;
SELECT id FROM item ORDER BY v <-> '[52,52,52]';
RESET ivfflat.iterative_scan;
DROP INDEX item_v;
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''apart.nothing'')');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''"'')');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_cosine_ops) WITH (centroids = ''public.item'')');
INSERT INTO apart.mine VALUES (NULL);
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''apart.mine'')');
TRUNCATE apart.mine;
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''apart.mine'')');
ALTER TABLE apart.mine ALTER c TYPE vector;
INSERT INTO apart.mine VALUES ('[1,2]');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''apart.mine'')');
CREATE ROLE regress_vecext_lists;
GRANT CREATE ON SCHEMA public TO regress_vecext_lists;
GRANT USAGE ON SCHEMA apart TO regress_vecext_lists;
ALTER TABLE item OWNER TO regress_vecext_lists;
-- the rights are those of the table's owner, whoever builds
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) WITH (centroids = ''apart.mine'')');
DROP TABLE item, apart.mine;
DROP SCHEMA apart;
REVOKE CREATE ON SCHEMA public FROM regress_vecext_lists;
DROP ROLE regress_vecext_lists;

-- what ALTER INDEX sets counts from the next REINDEX
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 10) i;
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops);
ALTER INDEX item_v SET (lists = 3, quantizer = rabitq);
SELECT reloptions FROM pg_class WHERE relname = 'item_v';
INSERT INTO item VALUES (11, '[11,11,11]');
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;
REINDEX INDEX item_v;
INSERT INTO item VALUES (12, '[12,12,12]');
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;
ALTER INDEX item_v RESET (lists, quantizer);
SELECT pg_temp.run_code('ALTER INDEX item_v SET (lists = 0)');
REINDEX INDEX CONCURRENTLY item_v;
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;

-- what an index cannot be
SELECT pg_temp.run('CREATE UNIQUE INDEX ON item USING ivfflat (v vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops) INCLUDE (id)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING ivfflat (v vector_l2_ops DESC)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING ivfflat (id)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING ivfflat (v halfvec_l2_ops)');
DROP TABLE item;

-- default classes
CREATE TABLE kinds (v vector(3), h halfvec(3), s sparsevec(3), b bit(3));
CREATE INDEX v ON kinds USING ivfflat (v);
CREATE INDEX h ON kinds USING ivfflat (h);
CREATE INDEX s ON kinds USING ivfflat (s);
CREATE INDEX b ON kinds USING ivfflat (b);
SELECT c.relname, opcname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_opclass o ON o.oid = indclass[0]
WHERE indrelid = 'kinds'::regclass ORDER BY c.relname COLLATE "C";
DROP TABLE kinds;

-- columns without dimensions, and of other types
CREATE TABLE item (v vector, h halfvec, s sparsevec, b bit varying, a real[]);
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (v vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (h halfvec_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (s sparsevec_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat (b bit_hamming_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat ((a::vector) vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING ivfflat ((v::vector(3)) vector_l2_ops)');
INSERT INTO item (v) VALUES ('[1,2,3]');
SELECT pg_temp.run('INSERT INTO item (v) VALUES (''[1,2]'')');
DROP TABLE item;

-- dimensions up to the type's own limit
CREATE TABLE large (id integer, v vector(16000), h halfvec(16000), s sparsevec(1000000000), b bit(64000));
INSERT INTO large SELECT i, random_vector(16000, i), random_vector(16000, i)::halfvec,
	format('{%s:1,%s:2,1000000000:3}/1000000000', i, i + 1000)::sparsevec, repeat(i::bit(16)::text, 4000)::bit(64000) FROM generate_series(1, 20) i;
CREATE INDEX large_v ON large USING ivfflat (v vector_l2_ops);
CREATE INDEX large_v8 ON large USING ivfflat (v vector_ip_ops) WITH (quantizer = int8, refine = heap);
CREATE INDEX large_v0 ON large USING ivfflat (v vector_cosine_ops) WITH (quantizer = none);
CREATE INDEX large_v1 ON large USING ivfflat (v vector_l1_ops);
CREATE INDEX large_h ON large USING ivfflat (h halfvec_cosine_ops);
CREATE INDEX large_s ON large USING ivfflat (s sparsevec_l2_ops);
CREATE INDEX large_b ON large USING ivfflat (b bit_jaccard_ops);
INSERT INTO large SELECT i, random_vector(16000, i), random_vector(16000, i)::halfvec,
	format('{%s:1,%s:2,1000000000:3}/1000000000', i, i + 1000)::sparsevec, repeat(i::bit(16)::text, 4000)::bit(64000) FROM generate_series(21, 25) i;
SELECT id FROM large ORDER BY v <-> random_vector(16000, 4) LIMIT 1;
SELECT id FROM large ORDER BY v <-> random_vector(16000, 24) LIMIT 1;
SELECT id FROM large ORDER BY v <#> random_vector(16000, 3) LIMIT 1;
SELECT id FROM large ORDER BY v <#> random_vector(16000, 23) LIMIT 1;
SELECT id FROM large ORDER BY v <=> random_vector(16000, 3) LIMIT 1;
SELECT id FROM large ORDER BY v <=> random_vector(16000, 23) LIMIT 1;
SELECT id FROM large ORDER BY v <+> random_vector(16000, 5) LIMIT 1;
SELECT id FROM large ORDER BY v <+> random_vector(16000, 25) LIMIT 1;
SELECT id FROM large ORDER BY h <=> random_vector(16000, 6)::halfvec LIMIT 1;
SELECT id FROM large ORDER BY s <-> '{7:1,1007:2,1000000000:3}/1000000000' LIMIT 1;
SELECT id FROM large ORDER BY b <%> repeat(8::bit(16)::text, 4000)::bit(64000) LIMIT 1;
DROP TABLE large;
