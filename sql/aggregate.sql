-- avg and sum of vector and halfvec, serial and parallel.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\set aggregate :include 'aggregate.psql'
\i :try

\set type vector
\i :aggregate
\set type halfvec
\i :aggregate

-- range: double inside, the element type outside
SELECT pg_temp.try(format('(SELECT %s(v::%s) FROM (VALUES %s) t(v))', f, type, v)) FROM (VALUES
	(1, 'avg', 'vector', $$('[3e38]'), ('[3e38]')$$),
	(2, 'sum', 'vector', $$('[3e38]'), ('[3e38]')$$),
	(3, 'sum', 'vector', $$('[1,-3e38]'), ('[1,-3e38]')$$),
	(4, 'avg', 'vector', $$('[1e-45]'), ('[-0]')$$),
	(5, 'avg', 'vector', $$('[1]'), ('[2]'), ('[2]')$$),
	(6, 'sum', 'halfvec', $$('[65504]'), ('[65504]')$$),
	(7, 'avg', 'halfvec', $$('[65504]'), ('[65504]')$$),
	(8, 'avg', 'halfvec', $$('[1]'), ('[2]'), ('[2]')$$),
	(9, 'sum', 'halfvec', $$('[2048]'), ('[1]'), ('[1]')$$)
) a(i, f, type, v) ORDER BY i;

-- the state of avg: number of rows, then the sums; by hand it may be malformed
SELECT pg_temp.try(e) FROM (VALUES
	($$vector_avg('{2,2,4,6}')$$),
	($$vector_avg('{0}')$$),
	($$vector_avg('{1,1e39}')$$),
	($$vector_avg('{1,NaN}')$$),
	($$halfvec_avg('{2,2,4,6}')$$),
	($$halfvec_avg('{0}')$$),
	($$halfvec_avg('{1,65520}')$$),
	($$halfvec_avg('{1,-65519}')$$),
	($$vector_accum('{0}', '[1,2]')$$),
	($$vector_accum('{1,1,2}', '[3,4]')$$),
	($$halfvec_accum('{0}', '[1,2]')$$),
	($$halfvec_accum('{1,1,2}', '[3,4]')$$),
	($$vector_accum('{1,1,2}', '[3]')$$),
	($$halfvec_accum('{1,1,2}', '[3]')$$),
	($$vector_accum('{1,1.7e308}', '[3e38]')$$),
	($$vector_combine('{0}', '{0}')$$),
	($$vector_combine('{0}', '{1,5}')$$),
	($$vector_combine('{1,5}', '{0}')$$),
	($$vector_combine('{1,5,6}', '{2,1,1}')$$),
	($$halfvec_combine('{1,5,6}', '{2,1,1}')$$),
	($$vector_combine('{1,5,6}', '{2,1}')$$),
	($$vector_combine('{1,1.7e308}', '{1,1.7e308}')$$)
) v(e);
SELECT pg_temp.code(e) FROM (VALUES
	($$vector_avg('{}')$$),
	($$vector_avg('{NULL}')$$),
	($$vector_avg('{{1,2},{3,4}}')$$),
	($$halfvec_avg('{}')$$),
	($$vector_accum('{}', '[1]')$$),
	($$vector_accum('{1,NULL}', '[1]')$$),
	($$vector_accum('{{1,2}}', '[1]')$$),
	($$halfvec_accum('{}', '[1]')$$),
	($$vector_combine('{}', '{0}')$$),
	($$vector_combine('{0}', '{NULL,1}')$$),
	($$halfvec_combine('{0}', '{{1},{2}}')$$)
) v(e);
