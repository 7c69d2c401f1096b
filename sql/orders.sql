-- Orders that come from a distance: function calls, arithmetic, further keys,
-- joins, LATERAL, DISTINCT ON, pages of results.  Each must use the index, and
-- give what is given without one.
\pset format unaligned
\pset tuples_only on
SET max_parallel_workers_per_gather = 0;
SET hnsw.ef_search = 1000;		-- of 400 rows: finds them all

CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^\S|->|Order By|Sort Key|Presorted' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;

-- a query's rows by the index, by VectorTopK where that may be, and by sorting
CREATE FUNCTION pg_temp.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	indexed text[];
	topk text[];
	sorted text[];
	way text;
BEGIN
	query := format('SELECT array_agg(r::text) FROM (%s) r', query);
	SET LOCAL enable_seqscan = off;
	SELECT coalesce(max(substring(n from 'Index Scan using (near\w*)')), 'no index') INTO way FROM pg_temp.plan(query) n;
	EXECUTE query INTO indexed;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	SELECT way || CASE WHEN bool_or(n ~ 'VectorTopK') THEN ' and VectorTopK' ELSE '' END INTO way FROM pg_temp.plan(query) n;
	EXECUTE query INTO topk;
	SET LOCAL vecext.enable_topk = off;
	EXECUTE query INTO sorted;
	SET LOCAL vecext.enable_topk = on;
	SET LOCAL enable_indexscan = on;
	RETURN way || ', ' ||
		CASE WHEN indexed IS DISTINCT FROM sorted THEN format('INDEX DIFFERS: %s, not %s', indexed, sorted)
		WHEN topk IS DISTINCT FROM sorted THEN format('TOPK DIFFERS: %s, not %s', topk, sorted)
		ELSE 'same, ' || coalesce(cardinality(sorted), 0) END;
END $$;

CREATE DOMAIN embedding AS vector(8);
CREATE TABLE near (id int PRIMARY KEY, cat int, v vector(8) NOT NULL, w vector(8), e embedding, g vector);
INSERT INTO near SELECT i, i % 9, v, CASE WHEN i % 50 <> 1 THEN v END, v, v
FROM generate_series(1, 400) i, random_vector(8, i) v;
CREATE INDEX near_l2 ON near USING hnsw (v vector_l2_ops);
CREATE INDEX near_ip ON near USING hnsw (v vector_ip_ops);
CREATE INDEX near_cosine ON near USING hnsw (v vector_cosine_ops);
CREATE INDEX near_l1 ON near USING hnsw (v vector_l1_ops);
CREATE INDEX near_w ON near USING hnsw (w vector_cosine_ops);
CREATE INDEX near_e ON near USING hnsw (e vector_l2_ops);
CREATE INDEX near_g ON near USING hnsw ((g::vector(8)) vector_cosine_ops);
CREATE INDEX near_bound ON near USING hnsw ((v::halfvec(8)) halfvec_ip_ops) WITH (refine = int8);
CREATE TABLE cats (id int PRIMARY KEY, name text);
INSERT INTO cats SELECT i, 'c' || i FROM generate_series(0, 8) i;
ANALYZE near;
ANALYZE cats;
SELECT random_vector(8, 1000) AS q \gset
CREATE FUNCTION pg_temp.compare_with(query text, q text) RETURNS text LANGUAGE sql
AS $$ SELECT pg_temp.compare(replace($1, 'Q', quote_literal(q))) $$;

-- function calls become operators, in filters too
SET enable_seqscan = off;
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY l2_distance(v, '[1,2,3,4,5,6,7,8]') LIMIT 5$$);
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY inner_product(v, '[1,2,3,4,5,6,7,8]') DESC LIMIT 5$$);
SELECT pg_temp.plan($$SELECT id, 1 - (v <=> '[1,2,3,4,5,6,7,8]') AS similarity FROM near ORDER BY similarity DESC LIMIT 5$$);
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY v <-> '[1,2,3,4,5,6,7,8]', id LIMIT 5$$);
RESET enable_seqscan;
SELECT n, pg_temp.compare_with(query, :'q') FROM (VALUES
	(1, 'SELECT id, l2_distance(v, Q) FROM near ORDER BY l2_distance(v, Q) LIMIT 20'),
	(2, 'SELECT id FROM near ORDER BY l2_distance(Q, v) LIMIT 20'),
	(3, 'SELECT id FROM near ORDER BY cosine_distance(v, Q) LIMIT 20'),
	(4, 'SELECT id FROM near ORDER BY l1_distance(v, Q) LIMIT 20'),
	(5, 'SELECT id, inner_product(v, Q) FROM near ORDER BY inner_product(v, Q) DESC LIMIT 20'),
	(6, 'SELECT id FROM near WHERE l2_distance(v, Q) > 1 ORDER BY v <-> Q LIMIT 20'),
	(7, 'SELECT id FROM near ORDER BY vector_negative_inner_product(v, Q) LIMIT 20'),
-- arithmetic that grows or shrinks with the distance
	(11, 'SELECT id, 1 - (v <=> Q) FROM near ORDER BY 1 - (v <=> Q) DESC LIMIT 20'),
	(12, 'SELECT id, (v <#> Q) * -1 AS ip FROM near ORDER BY ip DESC LIMIT 20'),
	(13, 'SELECT id FROM near ORDER BY -(v <#> Q) DESC LIMIT 20'),
	(14, 'SELECT id FROM near ORDER BY -1 * (v <#> Q) DESC NULLS LAST LIMIT 20'),
	(15, 'SELECT id FROM near ORDER BY (1 - (Q <=> v)) * 100.5 DESC LIMIT 20'),
	(16, 'SELECT id FROM near ORDER BY (v <-> Q) / 2 + 1 LIMIT 20'),
	(17, 'SELECT id FROM near ORDER BY -((v <-> Q) / -2) LIMIT 20'),
	(18, 'SELECT id FROM near ORDER BY 1 - cosine_distance(v, Q) DESC LIMIT 20'),
	(19, 'SELECT * FROM (SELECT id, 1 - (v <=> Q) AS s FROM near) n WHERE s > -0.5 ORDER BY s DESC LIMIT 20'),
	(20, 'SELECT id FROM near ORDER BY 1::real - (v <-> Q) DESC LIMIT 20'),
	(21, 'SELECT id FROM near ORDER BY 1 - (v <=> Q) DESC, id LIMIT 20'),
	(22, 'SELECT id FROM near ORDER BY v <-> Q NULLS FIRST LIMIT 20'),
-- casts and domains
	(31, 'SELECT id FROM near ORDER BY e <-> Q LIMIT 20'),
	(32, 'SELECT id FROM near ORDER BY e::vector <-> Q::vector(8) LIMIT 20'),
	(33, 'SELECT id FROM near ORDER BY v <-> Q::embedding LIMIT 20'),
	(34, 'SELECT id FROM near ORDER BY g::vector(8) <=> Q LIMIT 20'),
	(35, 'SELECT id FROM near ORDER BY v <-> Q::vector::real[]::vector LIMIT 20'),
-- further keys
	(41, 'SELECT id FROM near ORDER BY v <-> Q, id LIMIT 20'),
	(43, 'SELECT id FROM near ORDER BY -(v <#> Q) DESC, v <-> Q LIMIT 20'),
	(42, 'SELECT id FROM near ORDER BY inner_product(v, Q) DESC, cat, id LIMIT 20'),
-- joins, LATERAL, DISTINCT ON
	(51, 'SELECT n.id, name FROM near n JOIN cats c ON c.id = n.cat ORDER BY v <-> Q LIMIT 20'),
	(52, 'SELECT n.id, name FROM near n LEFT JOIN cats c ON c.id = n.cat AND c.id < 4 ORDER BY 1 - (v <=> Q) DESC LIMIT 20'),
	(53, 'SELECT c.id, n.id FROM cats c CROSS JOIN LATERAL (SELECT id FROM near WHERE cat = c.id ORDER BY v <-> Q LIMIT 3) n ORDER BY 1'),
	(54, 'SELECT c.id, n.id, n.s FROM (SELECT id, v FROM near WHERE id < 6 ORDER BY id) c CROSS JOIN LATERAL (SELECT id, 1 - (v <=> c.v) AS s FROM near ORDER BY s DESC LIMIT 3) n'),
	(55, 'SELECT DISTINCT ON (v <-> Q) id, cat FROM near ORDER BY v <-> Q LIMIT 20'),
	(56, 'SELECT DISTINCT ON (d) d, id FROM (SELECT id, v <-> Q AS d FROM near) n ORDER BY d, id LIMIT 20'),
	(57, 'SELECT n.id FROM near n WHERE EXISTS (SELECT FROM cats c WHERE c.id = n.cat AND name > ''c3'') ORDER BY v <-> Q LIMIT 20'),
-- pages of results
	(61, 'SELECT id, v <-> Q AS d FROM near WHERE v <-> Q > 1.7 ORDER BY d LIMIT 20'),
	(62, 'SELECT id FROM near WHERE (v <-> Q, id) > (1.7, 5) ORDER BY v <-> Q, id LIMIT 20'),
	(63, 'SELECT id FROM near WHERE 1 - (v <=> Q) < 0.1 ORDER BY 1 - (v <=> Q) DESC LIMIT 20'),
-- bounds instead of distances in the index: put in order by the server
	(71, 'SELECT id FROM near ORDER BY v::halfvec(8) <#> Q LIMIT 20'),
	(72, 'SELECT id FROM near ORDER BY inner_product(v::halfvec(8), Q) DESC LIMIT 20'),
	(73, 'SELECT id, (v::halfvec(8) <#> Q) * -1 AS s FROM near ORDER BY s DESC LIMIT 20')
) t(n, query) ORDER BY n;

-- not these: the farthest first, distances of two columns, volatile values,
-- functions that do not keep the order
SELECT n, pg_temp.compare_with(query, :'q') FROM (VALUES
	(1, 'SELECT id FROM near ORDER BY v <-> Q DESC LIMIT 20'),
	(2, 'SELECT id FROM near ORDER BY 1 - (v <=> Q) LIMIT 20'),
	(3, 'SELECT id FROM near ORDER BY abs(v <#> Q) LIMIT 20'),
	(4, 'SELECT id FROM near ORDER BY (v <-> Q) * (v <=> Q) LIMIT 20'),
	(5, 'SELECT id FROM near ORDER BY (v <-> Q) * 0, id LIMIT 20'),
	(6, 'SELECT id FROM near ORDER BY (v <-> Q) + id LIMIT 20'),
	(7, 'SELECT id FROM near ORDER BY round((v <-> Q)::numeric, 1), id LIMIT 20')
) t(n, query) ORDER BY n;

-- rows without a value: an index has none of them, so it serves where they come
-- last or not at all
SELECT n, pg_temp.compare_with(query, :'q') FROM (VALUES
	(1, 'SELECT w IS NULL FROM near ORDER BY 1 - (w <=> Q) DESC LIMIT 10'),
	(2, 'SELECT id FROM near ORDER BY 1 - (w <=> Q) DESC NULLS LAST LIMIT 20'),
	(3, 'SELECT id FROM near WHERE w IS NOT NULL ORDER BY 1 - (w <=> Q) DESC LIMIT 20'),
	(4, 'SELECT id FROM near WHERE 1 - (w <=> Q) > 0.2 ORDER BY 1 - (w <=> Q) DESC LIMIT 20'),
	(5, 'SELECT id FROM near WHERE vector_dims(w) = 8 ORDER BY 1 - (w <=> Q) DESC LIMIT 20'),
	(6, 'SELECT w IS NULL FROM near WHERE coalesce(vector_dims(w), 8) = 8 ORDER BY 1 - (w <=> Q) DESC LIMIT 10'),
	(7, 'SELECT w IS NULL FROM near ORDER BY w <=> Q NULLS FIRST LIMIT 10')
) t(n, query) ORDER BY n;
-- a zero vector has no cosine: its similarity, NaN, would come first
INSERT INTO near SELECT 1000, 1, v, v, v, v FROM CAST(array_fill(0, ARRAY[8]) AS vector) v;
SET enable_seqscan = off;
SELECT id = 1000 AS zero FROM near ORDER BY 1 - (v <=> :'q') DESC LIMIT 1;
SET vecext.similarity_order = exact;
SELECT id = 1000 AS zero FROM near ORDER BY 1 - (v <=> :'q') DESC LIMIT 1;
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY 1 - (v <=> '[1,2,3,4,5,6,7,8]') DESC LIMIT 1$$);
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY inner_product(v, '[1,2,3,4,5,6,7,8]') DESC LIMIT 1$$);
SET vecext.similarity_order = off;
SELECT pg_temp.plan($$SELECT id FROM near ORDER BY inner_product(v, '[1,2,3,4,5,6,7,8]') DESC LIMIT 1$$);
RESET vecext.similarity_order;

-- parts of a partitioned table, and of a UNION ALL
CREATE TABLE near_parts (LIKE near) PARTITION BY LIST (cat);
CREATE TABLE near_parts_a PARTITION OF near_parts FOR VALUES IN (0, 1, 2, 3);
CREATE TABLE near_parts_b PARTITION OF near_parts DEFAULT;
INSERT INTO near_parts SELECT * FROM near;
CREATE INDEX ON near_parts USING hnsw (v vector_ip_ops);
ANALYZE near_parts;
RESET enable_seqscan;
SELECT n, pg_temp.compare_with(query, :'q') FROM (VALUES
	(1, 'SELECT id, inner_product(v, Q) AS s FROM near_parts ORDER BY s DESC LIMIT 20'),
	(2, 'SELECT id FROM near_parts WHERE cat = 2 ORDER BY inner_product(v, Q) DESC LIMIT 20'),
	(3, 'SELECT * FROM (SELECT id, -(v <#> Q) AS s FROM near_parts_a UNION ALL SELECT id, -(v <#> Q) FROM near_parts_b) n ORDER BY s DESC LIMIT 20')
) t(n, query) ORDER BY n;

-- the same through a prepared statement, generic
PREPARE alike(vector, float8, int) AS SELECT id, $2 - (v <=> $1) AS s FROM near ORDER BY s DESC LIMIT $3;
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SELECT pg_temp.plan('EXECUTE alike(NULL, 1, 3)');

-- an index on a call is still found by that call, and by the operator
CREATE INDEX near_call ON near (l2_distance(v, '[1,2,3,4,5,6,7,8]'));
SET enable_bitmapscan = off;
SELECT pg_temp.plan($$SELECT id FROM near WHERE l2_distance(v, '[1,2,3,4,5,6,7,8]') < 2$$);
SELECT pg_temp.plan($$SELECT id FROM near WHERE v <-> '[1,2,3,4,5,6,7,8]' < 2$$);

DROP TABLE near, near_parts, cats;
DROP DOMAIN embedding;
