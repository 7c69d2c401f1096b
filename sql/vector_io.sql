-- Text and binary form of vector; sql/include/dense_io.psql has what halfvec shares.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\i :try

\set type vector
\set dense_io :include 'dense_io.psql'
\i :dense_io

-- shortest decimal that reads back as the same float4
SELECT '[0.1,0.30000001192092896,1.5e38,1e-07,3.4028235e38,-3.4028235e38,16777216,16777217]'::vector;
SELECT '[1e-38,1.17549435e-38,1e-44,1.4e-45,7e-46,1000000,1e6,9999999,1e7,1e15,1e16]'::vector;

-- rounding of decimal text: nearest float4, ties to even, decided by far digits
SELECT '[1.00000005960464477539062,1.000000059604644775390625,1.00000005960464477539063]'::vector;
SELECT '[16777217,16777217.0000000000000000000000000000001,16777219]'::vector;

-- too small is silently zero, keeping its sign; too large is 22003
SELECT '[1e-46,-1e-46,1e-999999999999,0e999999999999]'::vector;
SELECT pg_temp.try(e) FROM (VALUES
	($$'[3.4028236e38]'::vector$$),
	($$'[1,4e38,2]'::vector$$),
	($$'[-4e38]'::vector$$),
	($$'[1e999999999999]'::vector$$),
	($$'[ 1e39 ]'::vector$$)
) v(e);

-- binary form: uint16 dim, uint16 unused, dim * float4, network byte order
SELECT encode(vector_send('[1]'), 'hex'), encode(vector_send('[1,-2,0.5]'), 'hex');
SELECT encode(vector_send('[-0,3.4028235e38,1e-45]'), 'hex');
SELECT substr(encode(vector_send(pg_temp.ones(16000)::vector), 'hex'), 1, 24),
	length(vector_send(pg_temp.ones(16000)::vector));
