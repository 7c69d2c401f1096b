-- Operators and functions of vector; sql/include/dense_ops.psql has what halfvec shares.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\i :try

\set type vector
\set norm vector_norm
\set dense_ops :include 'dense_ops.psql'
\i :dense_ops

-- range of float4: a sum beyond it, a product beyond it or vanishing in it
SELECT pg_temp.try(e) FROM (VALUES
	($$'[3e38]'::vector + '[3e38]'$$),
	($$'[-3e38,1]'::vector + '[-3e38,1]'$$),
	($$'[1,3e38]'::vector - '[1,-3e38]'$$),
	($$'[1e20]'::vector * '[1e20]'$$),
	($$'[1e-30]'::vector * '[1e-30]'$$),
	($$'[1e-30]'::vector * '[-1e-30]'$$),
	($$'[1e-30,0]'::vector * '[0,1e-30]'$$),
	($$'[1e-20]'::vector * '[1e-20]'$$),
	($$'[1.5e38]'::vector + '[1.5e38]'$$),
	($$'[1e-45]'::vector - '[1e-45]'$$)
) v(e);

-- norms do not leave the range of float8, normalized vectors have length 1
SELECT vector_norm('[3e37,4e37]')::real, vector_norm('[3e-30,4e-30]')::real;
SELECT vector_norm(array_fill(3e38, ARRAY[16000])::vector) BETWEEN 3.79473e40 AND 3.79474e40 AS ok;
SELECT l2_normalize('[3e37,4e37]'::vector), l2_normalize('[3e-40,0]'::vector), l2_normalize('[1e38,1e-38]'::vector);
SELECT vector_norm(l2_normalize(array_agg(i)::vector)) BETWEEN 0.999999 AND 1.000001 AS unit
FROM generate_series(1, 1000) i;

-- cosine distance stays between 0 and 2
SELECT min(v <=> v) >= 0 AS low, max(v <=> v) < 1e-6 AS same, max(v <=> w) <= 2 AS high, min(v <=> w) > 2 - 1e-6 AS opposite
FROM generate_series(1, 200) s, LATERAL (
	SELECT array_agg(sin(s * 7 + i))::vector, array_agg(-2 * sin(s * 7 + i))::vector FROM generate_series(1, s) i) q(v, w);
