-- Each distance of each type equals its SQL formula, around every lane width.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\set distances :include 'distances.psql'
\set distance :include 'distance.psql'
\i :try

CREATE TEMP TABLE elements AS
SELECT d, i, i * 7 % 11 - 5 AS a, i * 5 % 13 - 6 AS b
FROM (SELECT generate_series(1, 140) UNION ALL SELECT unnest(ARRAY[255, 256, 257, 383, 511, 512, 513, 767, 768, 769,
	1023, 1024, 1025, 1536, 1999, 2000, 2001, 3072, 4096, 8191, 15999, 16000])) n(d), generate_series(1, d) i;

-- type | function | dims, and how many of them agree: a with b, b with a, a with a | wrong dims
\set ECHO none
\set type vector
\set norm vector_norm
\i :distances
\set type halfvec
\set norm l2_norm
\i :distances
\set type sparsevec
\i :distances
\set ECHO all

-- halves of every magnitude widen exactly: a sum over powers of two, and the largest products
SELECT '[1,0.5,0.25,0.125,1024,2048,6.1035156e-05]'::halfvec <#> '[1,1,1,1,1,1,1]',
	array_fill(4096, ARRAY[64])::halfvec <#> array_fill(4096, ARRAY[64])::halfvec,
	array_fill(65504, ARRAY[1])::halfvec <-> array_fill(-65504, ARRAY[1])::halfvec;

-- spherical distance of unit vectors
SELECT vector_spherical_distance('[0.6,0.8]', '[0.6,0.8]') < 1e-3 AS same,
	vector_spherical_distance('[0.6,0.8]', '[-0.8,0.6]') BETWEEN 0.4999999 AND 0.5000001 AS right_angle,
	halfvec_spherical_distance('[0,1,0]', '[0,-1,0]');
