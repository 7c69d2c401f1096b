-- One statement for each kind of error that types and operators raise, by SQLSTATE.
\getenv abs_srcdir PG_ABS_SRCDIR
\set try :abs_srcdir '/sql/include/try.psql'
\i :try

-- 22P02 invalid_text_representation
SELECT pg_temp.try(e) FROM (VALUES
	($$'1,2,3'::vector$$),
	($$'[1,2'::vector$$),
	($$'[1]2'::vector$$),
	($$'1,2,3'::halfvec$$),
	($$'[1,2'::halfvec$$),
	($$'[1]2'::halfvec$$),
	($$'[1,2]'::sparsevec$$),
	($$'{1:1}'::sparsevec$$),
	($$'{1:1}/2x'::sparsevec$$),
	($$'{1:1,}/2'::sparsevec$$)
) v(e);

-- 22003 numeric_value_out_of_range
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,4e38]'::vector$$),
	($$'[1,65520]'::halfvec$$),
	($$'{1:4e38}/1'::sparsevec$$),
	($$'{1:1e-46}/1'::sparsevec$$),
	($$'[65520]'::vector::halfvec$$),
	($$'{65520}'::integer[]::halfvec$$),
	($$'{1:65520}/1'::sparsevec::halfvec$$),
	($$'[3e38]'::vector + '[3e38]'$$),
	($$'[3e38]'::vector - '[-3e38]'$$),
	($$'[3e38]'::vector * '[3e38]'$$),
	($$'[1e-38]'::vector * '[1e-38]'$$),
	($$'[65504]'::halfvec + '[65504]'$$),
	($$'[65504]'::halfvec - '[-65504]'$$),
	($$'[65504]'::halfvec * '[65504]'$$),
	($$'[6e-8]'::halfvec * '[6e-8]'$$),
	($$(SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) t(v))$$),
	($$(SELECT sum(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) t(v))$$),
	($$vector_combine('{1,1.7e308}', '{1,1.7e308}')$$),
	($$halfvec_avg('{1,65520}')$$)
) v(e);

-- 22000 data_exception
SELECT pg_temp.try(e) FROM (VALUES
	($$'[1,2]'::vector <-> '[1]'$$),
	($$'[1,2]'::halfvec <-> '[1]'$$),
	($$'{1:1}/2'::sparsevec <-> '{1:1}/1'$$),
	($$B'101' <~> B'10'$$),
	($$B'101' <%> B'10'$$),
	($$'[1,2]'::vector(3)$$),
	($$'[1,2]'::halfvec(3)$$),
	($$'{1:1}/2'::sparsevec(3)$$),
	($$'[]'::vector$$),
	($$'[]'::halfvec$$),
	($$'{}/0'::sparsevec$$),
	($$'{}/-1'::sparsevec$$),
	($$'[NaN]'::vector$$),
	($$'[Infinity]'::vector$$),
	($$'[NaN]'::halfvec$$),
	($$'[-Infinity]'::halfvec$$),
	($$'{1:NaN}/1'::sparsevec$$),
	($$'{1:inf}/1'::sparsevec$$),
	($$'{{1},{2}}'::real[]::vector$$),
	($$'{{1},{2}}'::real[]::halfvec$$),
	($$'{{1},{2}}'::real[]::sparsevec$$),
	($$'{0:1}/2'::sparsevec$$),
	($$'{3:1}/2'::sparsevec$$),
	($$'{1:1,1:2}/2'::sparsevec$$),
	($$subvector('[1,2]'::vector, 3, 1)$$),
	($$subvector('[1,2]'::halfvec, 1, 0)$$),
	($$vector_avg('{1,1e39}')$$)
) v(e);

-- 54000 program_limit_exceeded
SELECT pg_temp.try(e) FROM (VALUES
	($$pg_temp.ones(16001)::vector$$),
	($$pg_temp.ones(16001)::halfvec$$),
	($$'{}/1000000001'::sparsevec$$),
	($$('{1:1' || repeat(',1:0', 16000) || '}/5')::sparsevec$$),
	($$array_fill(1, ARRAY[16001])::vector$$),
	($$array_fill(1, ARRAY[16001])::halfvec$$),
	($$array_fill(1, ARRAY[16001])::sparsevec IS NULL$$),
	($$'{1:1}/16001'::sparsevec::vector$$),
	($$'{1:1}/16001'::sparsevec::halfvec$$),
	($$pg_temp.ones(16000)::vector || '[1]'$$),
	($$pg_temp.ones(16000)::halfvec || '[1]'$$)
) v(e);

-- 22004 null_value_not_allowed
SELECT pg_temp.try(e) FROM (VALUES
	($$'{1,NULL}'::integer[]::vector$$),
	($$'{1,NULL}'::real[]::halfvec$$),
	($$'{1,NULL}'::numeric[]::sparsevec$$)
) v(e);

-- 22023 invalid_parameter_value
SELECT pg_temp.try(e) FROM (VALUES
	($$NULL::vector(0)$$),
	($$NULL::vector(16001)$$),
	($$NULL::vector(1, 2)$$),
	($$NULL::halfvec(0)$$),
	($$NULL::halfvec(16001)$$),
	($$NULL::sparsevec(0)$$),
	($$NULL::sparsevec(1000000001)$$),
	($$NULL::sparsevec(1, 2)$$)
) v(e);

-- XX000: an aggregate state made by hand
SELECT pg_temp.code(e) FROM (VALUES
	($$vector_avg('{}')$$),
	($$vector_accum('{}', '[1]')$$),
	($$vector_combine('{}', '{0}')$$)
) v(e);

-- where the server asks for it (16 and later), bad text is reported, not thrown
CREATE FUNCTION pg_temp.is_valid(literal text, type text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE valid boolean;
BEGIN
	IF to_regprocedure('pg_input_is_valid(text,text)') IS NOT NULL THEN
		EXECUTE 'SELECT pg_input_is_valid($1, $2)' INTO valid USING literal, type;
	ELSE
		valid := left(pg_temp.attempt(format('SELECT %L::%s', literal, type), true, false), 1) IN ('[', '{');
	END IF;
	RETURN valid;
END $$;
SELECT type, literal, pg_temp.is_valid(literal, type) FROM (VALUES
	('vector', '[1,2]'), ('vector', '[1,2'), ('vector', '[1]x'), ('vector', 'x'), ('vector', '[]'), ('vector', '[NaN]'),
	('vector', '[inf]'), ('vector', '[1e39]'), ('vector(3)', '[1,2]'), ('vector(2)', '[1,2]'),
	('halfvec', '[1,2]'), ('halfvec', '[1,2'), ('halfvec', '[]'), ('halfvec', '[65520]'), ('halfvec(3)', '[1,2]'),
	('sparsevec', '{1:1}/2'), ('sparsevec', '{1:1}'), ('sparsevec', '{3:1}/2'), ('sparsevec', '{1:1,1:1}/2'),
	('sparsevec', '{}/0'), ('sparsevec', '{}/1000000001'), ('sparsevec', '{1:1e-46}/2'), ('sparsevec', '{1:NaN}/2'),
	('sparsevec(3)', '{1:1}/2')) v(type, literal);
SELECT pg_temp.is_valid(pg_temp.ones(16001), 'vector'), pg_temp.is_valid(pg_temp.ones(16001), 'halfvec'),
	pg_temp.is_valid('{1:1' || repeat(',1:0', 16000) || '}/5', 'sparsevec');

-- XX001: a stored value whose size and dimensions disagree is not read
CREATE CAST (bytea AS vector) WITHOUT FUNCTION;
CREATE CAST (bytea AS halfvec) WITHOUT FUNCTION;
CREATE CAST (bytea AS sparsevec) WITHOUT FUNCTION;
SELECT DISTINCT pg_temp.attempt(format('SELECT ' || e, format('%L::bytea::%s', b, type)), true, true) FROM (VALUES
	('vector'), ('halfvec')) t(type), (VALUES ('%s::text'), ('%1$s <-> %1$s'), ('%1$s <=> ''[1]'''), ('''[1]'' <#> %s'),
	('%s <+> ''[1]'''), ('%s + ''[1]'''), ('%s || ''[1]'''), ('%s = ''[1]'''), ('vector_dims(%s)'), ('l2_norm(%s)'), ('l2_normalize(%s)'),
	('binary_quantize(%s)'), ('subvector(%s, 1, 1)'), ('%s::real[]'), ('%s::sparsevec'), ('avg(%s)'), ('(%s)[1]'), ('- %s')) x(e),
	(VALUES (''), ('\x01'), ('\x0101'), ('\x01010000'), ('\x010100000000'), ('\x0000000000000000'), ('\xffff0000ffff0000')) y(b)
ORDER BY 1;
SELECT DISTINCT pg_temp.attempt(format('SELECT ' || e, format('%L::bytea::sparsevec', b)), true, true) FROM
	(VALUES ('%s::text'), ('%1$s <-> %1$s'), ('%1$s <=> ''{1:1}/1'''), ('%s = ''{1:1}/1'''), ('vector_dims(%s)'), ('l2_norm(%s)'),
	('l2_normalize(%s)'), ('%s::vector'), ('%s::halfvec'), ('avg(%s)'), ('sum(%s)')) x(e),
	(VALUES (''), ('\x01010101'), ('\x010101010101010100000000'), ('\x01010101ffffffff00000000'), ('\x01010101ffffffff000000000000000000000000'),
	('\x000000000000000000000000')) y(b)
ORDER BY 1;
DROP CAST (bytea AS vector);
DROP CAST (bytea AS halfvec);
DROP CAST (bytea AS sparsevec);
