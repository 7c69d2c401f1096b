-- ANALYZE of vector columns: cheap, and enough for estimates.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\set analyze :include 'analyze.psql'
\i :try

-- rows the planner expects
CREATE FUNCTION pg_temp.estimate(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Plan Rows')::float8;
END $$;

\set type vector
\i :analyze
\set type halfvec
\i :analyze
\set type sparsevec
\i :analyze

-- wide values, out of line
CREATE TABLE wide (v vector(2000));
INSERT INTO wide SELECT array_agg(i + j)::vector FROM generate_series(1, 2000) i, generate_series(1, 100) j GROUP BY j;
INSERT INTO wide SELECT NULL FROM generate_series(1, 100);
ANALYZE wide;
SELECT null_frac, most_common_vals IS NULL AS no_mcv, histogram_bounds IS NULL AS no_histogram FROM pg_stats WHERE tablename = 'wide';
SELECT sum(pg_column_size(s.*)) < 2000 AS small FROM pg_statistic s WHERE starelid = 'wide'::regclass;
DROP TABLE wide;

-- no statistics at all: nothing odd
CREATE TABLE fresh (v vector(3));
INSERT INTO fresh SELECT '[1,2,3]';
SELECT pg_temp.estimate('SELECT * FROM fresh WHERE v = ''[1,2,3]''') >= 1 AS ok;
ANALYZE fresh;
TRUNCATE fresh;
ANALYZE fresh;
INSERT INTO fresh VALUES (NULL), (NULL);
ANALYZE fresh;
SELECT null_frac, n_distinct FROM pg_stats WHERE tablename = 'fresh';
DROP TABLE fresh;
