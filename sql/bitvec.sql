-- Distances of bit strings.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

SELECT pg_temp.try(e) FROM (VALUES
	($$hamming_distance(B'111', B'111')$$),
	($$hamming_distance(B'111', B'110')$$),
	($$hamming_distance(B'111', B'000')$$),
	($$hamming_distance('101', '011')$$),
	($$hamming_distance(''::varbit, ''::varbit)$$),
	($$B'1010' <~> B'0110'$$),
	($$jaccard_distance(B'1111', B'1111')$$),
	($$jaccard_distance(B'1111', B'1110')$$),
	($$jaccard_distance(B'1100', B'1000')$$),
	($$jaccard_distance(B'1100', B'0011')$$),
	-- nothing in common, though nothing differs
	($$jaccard_distance(B'0000', B'0000')$$),
	($$jaccard_distance(''::varbit, ''::varbit)$$),
	($$B'1111' <%> B'1000'$$),
	($$pg_typeof(B'1' <~> B'0') || ', ' || pg_typeof(B'1' <%> B'0')$$),
	($$B'101'::bit(3) <~> B'100'::varbit$$),
	($$hamming_distance(NULL, B'1')$$),
	($$B'111' <~> B'11'$$),
	($$B'11' <~> B'111'$$),
	($$B'111' <%> B'1'$$),
	($$hamming_distance(B'1111111', B'11111111')$$),
	($$jaccard_distance(''::varbit, B'1')$$)
) v(e);

-- against the same counted bit by bit, lengths around bytes and vector registers
SELECT count(*), bool_and((a <~> b) = differ) AS hamming,
	bool_and((a <%> b) = CASE WHEN common = 0 THEN 1 ELSE 1 - common::float8 / either END) AS jaccard
FROM (SELECT string_agg(x::text, '' ORDER BY i)::varbit AS a, string_agg(y::text, '' ORDER BY i)::varbit AS b,
		count(*) FILTER (WHERE x <> y) AS differ, sum(x * y) AS common, sum(greatest(x, y)) AS either
	FROM (SELECT n, i, (i * i % 7 + n) % 2 AS x, (i % 5 * n) % 3 % 2 AS y
		FROM unnest(ARRAY[1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513,
			1023, 1024, 1025, 4100]) n, generate_series(1, n) i) bits
	GROUP BY n) t;
SELECT repeat('1', 64000)::varbit <~> repeat('0', 64000)::varbit AS hamming,
	repeat('1', 64000)::varbit <%> repeat('10', 32000)::varbit AS jaccard;

-- in a table: nearest first, NULL last
CREATE TEMP TABLE codes (id integer, code bit(8));
INSERT INTO codes VALUES (1, B'00000000'), (2, B'11111111'), (3, B'11110000'), (4, NULL), (5, B'11000000');
SELECT id, code, code <~> B'11100000' AS hamming FROM codes ORDER BY code <~> B'11100000', id;
SELECT id, code, round((code <%> B'11100000')::numeric, 6) AS jaccard FROM codes ORDER BY code <%> B'11100000', id;
