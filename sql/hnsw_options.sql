-- Options, settings and refusals of the access method hnsw.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- settings, given before the library is loaded
SET hnsw.ef_search = 77;
SET hnsw.max_scan_tuples = 0;
SELECT '[1]'::vector;
SHOW hnsw.ef_search;
SHOW hnsw.max_scan_tuples;
RESET hnsw.ef_search;
SELECT name, setting, min_val, max_val, enumvals, context FROM pg_settings WHERE name LIKE 'hnsw.%' ORDER BY name COLLATE "C";
SELECT pg_temp.run_code('SET hnsw.ef_search = ' || n) FROM unnest(ARRAY[0, 1, 1000, 1001]) n;
SELECT pg_temp.run_code('SET hnsw.max_scan_tuples = ' || n) FROM unnest(ARRAY[0, 1, 2147483647]) n;
SELECT pg_temp.run_code('SET hnsw.scan_mem_multiplier = ' || n) FROM unnest(ARRAY[0.9, 1, 1000, 1001]) n;
SELECT pg_temp.run_code('SET hnsw.iterative_scan = ' || n) FROM unnest(ARRAY['on', 'off', 'relaxed_order', 'strict_order']) n;
SELECT pg_temp.run_code('SET hnsw.nonsense = 1');
RESET ALL;

-- storage parameters
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 10) i;
SELECT pg_temp.run(format('CREATE INDEX ON item USING hnsw (v vector_l2_ops) WITH (%s)', o)) FROM unnest(ARRAY[
	'm = 1', 'm = 2, ef_construction = 4', 'm = 100, ef_construction = 200', 'm = 101',
	'ef_construction = 3', 'ef_construction = 32', 'ef_construction = 31', 'ef_construction = 1000', 'ef_construction = 1001',
	'm = 10, ef_construction = 19', 'm = 10, ef_construction = 20',
	'refine = full', 'refine = half', 'refine = int8', 'refine = heap',
	'nav_bits = 2', 'nav_bits = 4', 'nav_bits = 8', 'nav_bits = 32',
	'sketch_bits = 0', 'sketch_bits = 2']) o;
SELECT pg_temp.run_code(format('CREATE INDEX ON item USING hnsw (v vector_l2_ops) WITH (%s)', o)) FROM unnest(ARRAY[
	'm = x', 'nonsense = 1', 'refine = nothing', 'lists = 10']) o;
SELECT indexdef FROM pg_indexes WHERE tablename = 'item' ORDER BY indexname COLLATE "C";
SET enable_seqscan = off;
SELECT id FROM item ORDER BY v <-> '[6.9,6.9,6.9]' LIMIT 2;
DROP TABLE item;

-- what ALTER INDEX sets counts from the next REINDEX
CREATE TABLE item (id integer, v vector(3));
INSERT INTO item SELECT i, ARRAY[i, i, i] FROM generate_series(1, 10) i;
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops);
ALTER INDEX item_v SET (m = 4, ef_construction = 10);
SELECT reloptions FROM pg_class WHERE relname = 'item_v';
INSERT INTO item VALUES (11, '[11,11,11]');
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;
REINDEX INDEX item_v;
INSERT INTO item VALUES (12, '[12,12,12]');
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;
ALTER INDEX item_v RESET (m, ef_construction);
SELECT pg_temp.run_code('ALTER INDEX item_v SET (m = 1)');
SELECT pg_temp.run_code('ALTER INDEX item_v SET (refine = nothing)');
REINDEX INDEX CONCURRENTLY item_v;
SELECT id FROM item ORDER BY v <-> '[12,12,12]' LIMIT 2;

-- what an index cannot be
SELECT pg_temp.run('CREATE UNIQUE INDEX ON item USING hnsw (v vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (v vector_l2_ops, id)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (v vector_l2_ops) INCLUDE (id)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING hnsw (v vector_l2_ops DESC)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING hnsw (id)');
SELECT pg_temp.run_code('CREATE INDEX ON item USING hnsw (v halfvec_l2_ops)');
DROP TABLE item;

-- default classes
CREATE TABLE kinds (v vector(3), h halfvec(3), s sparsevec(3), b bit(3));
CREATE INDEX v ON kinds USING hnsw (v);
CREATE INDEX h ON kinds USING hnsw (h);
CREATE INDEX s ON kinds USING hnsw (s);
CREATE INDEX b ON kinds USING hnsw (b);
SELECT c.relname, opcname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_opclass o ON o.oid = indclass[0]
WHERE indrelid = 'kinds'::regclass ORDER BY c.relname COLLATE "C";
DROP TABLE kinds;

-- columns without dimensions, and of other types
CREATE TABLE item (v vector, h halfvec, s sparsevec, b bit varying, a real[]);
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (v vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (h halfvec_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (s sparsevec_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw (b bit_hamming_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw ((a::vector) vector_l2_ops)');
SELECT pg_temp.run('CREATE INDEX ON item USING hnsw ((v::vector(3)) vector_l2_ops)');
INSERT INTO item (v) VALUES ('[1,2,3]');
SELECT pg_temp.run('INSERT INTO item (v) VALUES (''[1,2]'')');
DROP TABLE item;

-- dimensions up to the type's own limit
CREATE TABLE large (id integer, v vector(16000), h halfvec(16000), s sparsevec(1000000000), b bit(64000));
INSERT INTO large SELECT i, random_vector(16000, i), random_vector(16000, i)::halfvec,
	format('{%s:1,%s:2,1000000000:3}/1000000000', i, i + 1000)::sparsevec, repeat(i::bit(16)::text, 4000)::bit(64000) FROM generate_series(1, 20) i;
CREATE INDEX large_v ON large USING hnsw (v vector_l2_ops);
CREATE INDEX large_v1 ON large USING hnsw (v vector_l1_ops);
CREATE INDEX large_h ON large USING hnsw (h halfvec_cosine_ops);
CREATE INDEX large_s ON large USING hnsw (s sparsevec_l2_ops);
CREATE INDEX large_b ON large USING hnsw (b bit_jaccard_ops);
INSERT INTO large SELECT i, random_vector(16000, i), random_vector(16000, i)::halfvec,
	format('{%s:1,%s:2,1000000000:3}/1000000000', i, i + 1000)::sparsevec, repeat(i::bit(16)::text, 4000)::bit(64000) FROM generate_series(21, 25) i;
SELECT id FROM large ORDER BY v <-> random_vector(16000, 4) LIMIT 1;
SELECT id FROM large ORDER BY v <-> random_vector(16000, 24) LIMIT 1;
SELECT id FROM large ORDER BY v <+> random_vector(16000, 5) LIMIT 1;
SELECT id FROM large ORDER BY v <+> random_vector(16000, 25) LIMIT 1;
SELECT id FROM large ORDER BY h <=> random_vector(16000, 6)::halfvec LIMIT 1;
SELECT id FROM large ORDER BY s <-> '{7:1,1007:2,1000000000:3}/1000000000' LIMIT 1;
SELECT id FROM large ORDER BY b <%> repeat(8::bit(16)::text, 4000)::bit(64000) LIMIT 1;
DROP TABLE large;
