-- Text and binary form of halfvec; sql/include/dense_io.psql has what vector shares.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\i :try

\set type halfvec
\set dense_io :include 'dense_io.psql'
\i :dense_io

-- printed as the float4 it widens to
SELECT '[0.1,0.2,0.3,1.001,65504,-65504]'::halfvec;

-- rounding of text: to float4 first, then to the nearest half, ties to even
SELECT '[2049,2051,2050.9999,2048.5,1.00048828125,1.0004883,1.00146484375]'::halfvec;
SELECT '[1.000488281250000000000000001]'::halfvec AS rounded_twice;

-- subnormals, and silent underflow that keeps the sign
SELECT '[6.1035156e-05,6.0975552e-05,5.9604645e-08,2.9802322e-08,2.9802326e-08]'::halfvec;
SELECT '[1e-8,-1e-8,1e-46,-1e-46]'::halfvec;

-- the largest half is 65504; what rounds beyond it is 22003
SELECT '[65519,65519.996,-65519]'::halfvec;
SELECT pg_temp.try(e) FROM (VALUES
	($$'[65519.999]'::halfvec$$),
	($$'[65520]'::halfvec$$),
	($$'[1,-65520,2]'::halfvec$$),
	($$'[1e10]'::halfvec$$),
	($$'[4e38]'::halfvec$$),
	($$'[ 70000 ]'::halfvec$$)
) v(e);

-- every finite half survives text output and input
SELECT count(*) AS halves, count(*) FILTER (WHERE back <> h OR back::text <> h::text) AS changed
FROM generate_series(0, 31) e, generate_series(0, 1023) m,
	LATERAL (SELECT CASE WHEN e = 0 THEN m * 2.0 ^ -24 ELSE (1 + m / 1024.0) * 2.0 ^ (e - 15) END) s(x),
	LATERAL (SELECT ARRAY[x, -x]::float8[]::halfvec) t(h),
	LATERAL (SELECT h::text::halfvec) u(back)
WHERE e < 31;

-- binary form: uint16 dim, uint16 unused, dim * binary16, network byte order
SELECT encode(halfvec_send('[1]'), 'hex'), encode(halfvec_send('[1,-2,0.5]'), 'hex');
SELECT encode(halfvec_send('[-0,65504,6e-8]'), 'hex');
SELECT substr(encode(halfvec_send(pg_temp.ones(16000)::halfvec), 'hex'), 1, 24),
	length(halfvec_send(pg_temp.ones(16000)::halfvec));
