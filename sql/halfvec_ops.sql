-- Operators and functions of halfvec; sql/include/dense_ops.psql has what vector shares.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\i :try

\set type halfvec
\set norm l2_norm
\set dense_ops :include 'dense_ops.psql'
\i :dense_ops

-- range of half: a sum beyond it, a product beyond it or vanishing in it
SELECT pg_temp.try(e) FROM (VALUES
	($$'[65504]'::halfvec + '[65504]'$$),
	($$'[65504]'::halfvec + '[15]'$$),
	($$'[65504]'::halfvec + '[16]'$$),
	($$'[-65504,1]'::halfvec - '[65504,1]'$$),
	($$'[300]'::halfvec * '[300]'$$),
	($$'[1e-4]'::halfvec * '[1e-4]'$$),
	($$'[1e-4,0]'::halfvec * '[0,1e-4]'$$),
	($$'[1e-3]'::halfvec * '[1e-3]'$$)
) v(e);
-- results round to the nearest half, ties to even
SELECT '[2048,2048,2050]'::halfvec + '[1,3,1]', '[1.001]'::halfvec * '[1.001]', '[2048]'::halfvec - '[1.5]';

-- sums are taken in float, so they do not overflow half
SELECT '[65504,65504]'::halfvec <+> '[-65504,-65504]', '[256,256]'::halfvec <#> '[256,256]',
	l2_norm('[60000,45000]'::halfvec), '[6e-8,0]'::halfvec <=> '[6e-8,0]';
SELECT l2_normalize('[60000,45000]'::halfvec), l2_normalize('[6e-8]'::halfvec), l2_normalize('[65504,6e-8]'::halfvec);
SELECT array_fill(65504, ARRAY[16000])::halfvec <=> array_fill(-65504, ARRAY[16000])::halfvec;
