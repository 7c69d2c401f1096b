-- vecext 1.0: the SQL objects.  Sections in the same order for each type: type,
-- casts, functions, operators, aggregates, btree class.

-- complain if the script is sourced in psql rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION vecext" to load this file. \quit

-- a database holds vecext or pgvector, never both
CREATE FUNCTION vecext_install_guard() RETURNS void
    AS 'MODULE_PATHNAME', 'vecext_install_guard' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
SELECT vecext_install_guard();
DROP FUNCTION vecext_install_guard();

--
-- The extension itself
--

CREATE FUNCTION vecext_simd() RETURNS text
    AS 'MODULE_PATHNAME', 'vecext_simd_name' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecext_simd() IS
    'instruction set of the distance kernels in use';

CREATE FUNCTION vecext_distance_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_distance_support' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecext_distance_support(internal) IS
    'planner support: cost of a distance by the size of its operands';

CREATE FUNCTION vecext_typanalyze(internal) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_typanalyze' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vecext_typanalyze(internal) IS
    'cheap ANALYZE of columns of vectors';

--
-- Type vector: single-precision elements
--

CREATE TYPE vector;
COMMENT ON TYPE vector IS
    'vector of single-precision elements';

CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_in(cstring, oid, integer) IS
    'input function of vector';

CREATE FUNCTION vector_out(vector) RETURNS cstring
    AS 'MODULE_PATHNAME', 'vecext_vector_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_out(vector) IS
    'output function of vector';

CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_vector_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_typmod_in(cstring[]) IS
    'type modifier input function of vector';

CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_recv(internal, oid, integer) IS
    'binary input function of vector';

CREATE FUNCTION vector_send(vector) RETURNS bytea
    AS 'MODULE_PATHNAME', 'vecext_vector_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_send(vector) IS
    'binary output function of vector';

CREATE FUNCTION vector_subscript(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_vector_subscript' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_subscript(internal) IS
    'subscripting handler of vector';

CREATE TYPE vector (
    INPUT = vector_in,
    OUTPUT = vector_out,
    TYPMOD_IN = vector_typmod_in,
    RECEIVE = vector_recv,
    SEND = vector_send,
    ANALYZE = vecext_typanalyze,
    SUBSCRIPT = vector_subscript,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);

-- vector: casts

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector(vector, integer, boolean) IS
    'check the dimensions of a vector';

CREATE FUNCTION array_to_vector(smallint[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(smallint[], integer, boolean) IS
    'convert smallint[] to vector';

CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS
    'convert integer[] to vector';

CREATE FUNCTION array_to_vector(bigint[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(bigint[], integer, boolean) IS
    'convert bigint[] to vector';

CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS
    'convert real[] to vector';

CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean) IS
    'convert double precision[] to vector';

CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_array_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS
    'convert numeric[] to vector';

CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    AS 'MODULE_PATHNAME', 'vecext_vector_to_float4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS
    'convert vector to real[]';

CREATE CAST (vector AS vector)
    WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS vector) IS 'apply the type modifier';

CREATE CAST (vector AS real[])
    WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS real[]) IS 'convert vector to real[]';

CREATE CAST (smallint[] AS vector)
    WITH FUNCTION array_to_vector(smallint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (smallint[] AS vector) IS 'convert smallint[] to vector';

CREATE CAST (integer[] AS vector)
    WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS vector) IS 'convert integer[] to vector';

CREATE CAST (bigint[] AS vector)
    WITH FUNCTION array_to_vector(bigint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bigint[] AS vector) IS 'convert bigint[] to vector';

CREATE CAST (real[] AS vector)
    WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS vector) IS 'convert real[] to vector';

CREATE CAST (double precision[] AS vector)
    WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS vector) IS 'convert double precision[] to vector';

CREATE CAST (numeric[] AS vector)
    WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS vector) IS 'convert numeric[] to vector';

-- vector: functions

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l2_distance(vector, vector) IS
    'Euclidean distance';

CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION inner_product(vector, vector) IS
    'inner product';

CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION cosine_distance(vector, vector) IS
    'cosine distance: 1 - cosine similarity';

CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l1_distance(vector, vector) IS
    'taxicab distance';

CREATE FUNCTION vector_dims(vector) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_vector_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(vector) IS
    'number of dimensions';

CREATE FUNCTION vector_norm(vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_norm(vector) IS
    'Euclidean norm';

CREATE FUNCTION l2_norm(vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(vector) IS
    'Euclidean norm';

CREATE FUNCTION l2_normalize(vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(vector) IS
    'scaled to Euclidean norm 1';

CREATE FUNCTION binary_quantize(vector) RETURNS bit
    AS 'MODULE_PATHNAME', 'vecext_vector_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION binary_quantize(vector) IS
    'one bit per element: is it positive?';

CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(vector, integer, integer) IS
    'elements from a start, counted from 1, and how many';

CREATE FUNCTION random_vector(dims integer, seed bigint) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_random_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION random_vector(dims integer, seed bigint) IS
    'vector of pseudo-random elements in [-1, 1), for tests';


-- vector: functions behind operators, operator classes and aggregates

CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_l2_squared_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION vector_l2_squared_distance(vector, vector) IS
    'squared Euclidean distance';

CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS
    'inner product times -1';

CREATE FUNCTION vector_spherical_distance(vector, vector) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_vector_spherical_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION vector_spherical_distance(vector, vector) IS
    'angle between unit vectors, as a share of a half turn';

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_add(vector, vector) IS
    'sum, element by element';

CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_sub(vector, vector) IS
    'difference, element by element';

CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_mul' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_mul(vector, vector) IS
    'product, element by element';

CREATE FUNCTION vector_neg(vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_neg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_neg(vector) IS
    'every element times -1';

CREATE FUNCTION vector_scale(vector, real) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_scale' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_scale(vector, real) IS
    'every element times a number';

CREATE FUNCTION vector_scale(real, vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_scale_left' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_scale(real, vector) IS
    'every element times a number';

CREATE FUNCTION vector_divide(vector, real) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_divide' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_divide(vector, real) IS
    'every element divided by a number';

CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_concat' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_concat(vector, vector) IS
    'concatenation';

CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_lt(vector, vector) IS
    'less than';

CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_le(vector, vector) IS
    'less than or equal';

CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_eq(vector, vector) IS
    'equal';

CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_ne(vector, vector) IS
    'not equal';

CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_ge(vector, vector) IS
    'greater than or equal';

CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_vector_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_gt(vector, vector) IS
    'greater than';

CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_vector_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_cmp(vector, vector) IS
    'less, equal or greater: -1, 0, 1';

CREATE FUNCTION vector_accum(double precision[], vector) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'vecext_vector_accum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_accum(double precision[], vector) IS
    'transition function of avg(vector)';

CREATE FUNCTION vector_avg(double precision[]) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_vector_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_avg(double precision[]) IS
    'final function of avg(vector)';

CREATE FUNCTION vector_combine(double precision[], double precision[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'vecext_vector_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_combine(double precision[], double precision[]) IS
    'combine function of avg(vector)';

-- vector: operators

CREATE OPERATOR <-> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance,
    COMMUTATOR = '<->'
);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product,
    COMMUTATOR = '<#>'
);
COMMENT ON OPERATOR <#> (vector, vector) IS 'inner product times -1';

CREATE OPERATOR <=> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance,
    COMMUTATOR = '<=>'
);
COMMENT ON OPERATOR <=> (vector, vector) IS 'cosine distance';

CREATE OPERATOR <+> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l1_distance,
    COMMUTATOR = '<+>'
);
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';

CREATE OPERATOR + (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (vector, vector) IS 'sum, element by element';

CREATE OPERATOR - (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_sub
);
COMMENT ON OPERATOR - (vector, vector) IS 'difference, element by element';

CREATE OPERATOR * (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (vector, vector) IS 'product, element by element';

CREATE OPERATOR - (
    RIGHTARG = vector, FUNCTION = vector_neg
);
COMMENT ON OPERATOR - (NONE, vector) IS 'every element times -1';

CREATE OPERATOR * (
    LEFTARG = vector, RIGHTARG = real, FUNCTION = vector_scale,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (vector, real) IS 'every element times a number';

CREATE OPERATOR * (
    LEFTARG = real, RIGHTARG = vector, FUNCTION = vector_scale,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (real, vector) IS 'every element times a number';

CREATE OPERATOR / (
    LEFTARG = vector, RIGHTARG = real, FUNCTION = vector_divide
);
COMMENT ON OPERATOR / (vector, real) IS 'every element divided by a number';

CREATE OPERATOR || (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_concat
);
COMMENT ON OPERATOR || (vector, vector) IS 'concatenation';

CREATE OPERATOR < (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (vector, vector) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (vector, vector) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (vector, vector) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (vector, vector) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (vector, vector) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (vector, vector) IS 'greater than';

-- vector: aggregates

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum,
    STYPE = double precision[],
    INITCOND = '{0}',
    FINALFUNC = vector_avg,
    COMBINEFUNC = vector_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(vector) IS 'average, element by element';

CREATE AGGREGATE sum(vector) (
    SFUNC = vector_add,
    STYPE = vector,
    COMBINEFUNC = vector_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(vector) IS 'sum, element by element';

-- vector: btree class

CREATE OPERATOR CLASS vector_ops
    DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 vector_cmp(vector, vector);
COMMENT ON OPERATOR CLASS vector_ops USING btree IS 'order by elements, then by dimensions';
COMMENT ON OPERATOR FAMILY vector_ops USING btree IS 'order by elements, then by dimensions';

--
-- Type halfvec: half-precision elements
--

CREATE TYPE halfvec;
COMMENT ON TYPE halfvec IS
    'vector of half-precision elements';

CREATE FUNCTION halfvec_in(cstring, oid, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_in(cstring, oid, integer) IS
    'input function of halfvec';

CREATE FUNCTION halfvec_out(halfvec) RETURNS cstring
    AS 'MODULE_PATHNAME', 'vecext_halfvec_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_out(halfvec) IS
    'output function of halfvec';

CREATE FUNCTION halfvec_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_halfvec_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_typmod_in(cstring[]) IS
    'type modifier input function of halfvec';

CREATE FUNCTION halfvec_recv(internal, oid, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_recv(internal, oid, integer) IS
    'binary input function of halfvec';

CREATE FUNCTION halfvec_send(halfvec) RETURNS bytea
    AS 'MODULE_PATHNAME', 'vecext_halfvec_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_send(halfvec) IS
    'binary output function of halfvec';

CREATE FUNCTION halfvec_subscript(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_halfvec_subscript' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_subscript(internal) IS
    'subscripting handler of halfvec';

CREATE TYPE halfvec (
    INPUT = halfvec_in,
    OUTPUT = halfvec_out,
    TYPMOD_IN = halfvec_typmod_in,
    RECEIVE = halfvec_recv,
    SEND = halfvec_send,
    ANALYZE = vecext_typanalyze,
    SUBSCRIPT = halfvec_subscript,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = external
);

-- halfvec: casts

CREATE FUNCTION halfvec(halfvec, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec(halfvec, integer, boolean) IS
    'check the dimensions of a halfvec';

CREATE FUNCTION array_to_halfvec(smallint[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(smallint[], integer, boolean) IS
    'convert smallint[] to halfvec';

CREATE FUNCTION array_to_halfvec(integer[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(integer[], integer, boolean) IS
    'convert integer[] to halfvec';

CREATE FUNCTION array_to_halfvec(bigint[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(bigint[], integer, boolean) IS
    'convert bigint[] to halfvec';

CREATE FUNCTION array_to_halfvec(real[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(real[], integer, boolean) IS
    'convert real[] to halfvec';

CREATE FUNCTION array_to_halfvec(double precision[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(double precision[], integer, boolean) IS
    'convert double precision[] to halfvec';

CREATE FUNCTION array_to_halfvec(numeric[], integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_array_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_halfvec(numeric[], integer, boolean) IS
    'convert numeric[] to halfvec';

CREATE FUNCTION halfvec_to_float4(halfvec, integer, boolean) RETURNS real[]
    AS 'MODULE_PATHNAME', 'vecext_halfvec_to_float4' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_to_float4(halfvec, integer, boolean) IS
    'convert halfvec to real[]';

CREATE FUNCTION vector_to_halfvec(vector, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_vector_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_to_halfvec(vector, integer, boolean) IS
    'convert vector to halfvec';

CREATE FUNCTION halfvec_to_vector(halfvec, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_halfvec_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_to_vector(halfvec, integer, boolean) IS
    'convert halfvec to vector';

CREATE CAST (halfvec AS halfvec)
    WITH FUNCTION halfvec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS halfvec) IS 'apply the type modifier';

CREATE CAST (halfvec AS real[])
    WITH FUNCTION halfvec_to_float4(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS real[]) IS 'convert halfvec to real[]';

CREATE CAST (smallint[] AS halfvec)
    WITH FUNCTION array_to_halfvec(smallint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (smallint[] AS halfvec) IS 'convert smallint[] to halfvec';

CREATE CAST (integer[] AS halfvec)
    WITH FUNCTION array_to_halfvec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS halfvec) IS 'convert integer[] to halfvec';

CREATE CAST (bigint[] AS halfvec)
    WITH FUNCTION array_to_halfvec(bigint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bigint[] AS halfvec) IS 'convert bigint[] to halfvec';

CREATE CAST (real[] AS halfvec)
    WITH FUNCTION array_to_halfvec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS halfvec) IS 'convert real[] to halfvec';

CREATE CAST (double precision[] AS halfvec)
    WITH FUNCTION array_to_halfvec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS halfvec) IS 'convert double precision[] to halfvec';

CREATE CAST (numeric[] AS halfvec)
    WITH FUNCTION array_to_halfvec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS halfvec) IS 'convert numeric[] to halfvec';

CREATE CAST (vector AS halfvec)
    WITH FUNCTION vector_to_halfvec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS halfvec) IS 'convert vector to halfvec';

CREATE CAST (halfvec AS vector)
    WITH FUNCTION halfvec_to_vector(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS vector) IS 'convert halfvec to vector';

-- halfvec: functions

CREATE FUNCTION l2_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l2_distance(halfvec, halfvec) IS
    'Euclidean distance';

CREATE FUNCTION inner_product(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION inner_product(halfvec, halfvec) IS
    'inner product';

CREATE FUNCTION cosine_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION cosine_distance(halfvec, halfvec) IS
    'cosine distance: 1 - cosine similarity';

CREATE FUNCTION l1_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l1_distance(halfvec, halfvec) IS
    'taxicab distance';

CREATE FUNCTION vector_dims(halfvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_halfvec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(halfvec) IS
    'number of dimensions';

CREATE FUNCTION l2_norm(halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(halfvec) IS
    'Euclidean norm';

CREATE FUNCTION l2_normalize(halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(halfvec) IS
    'scaled to Euclidean norm 1';

CREATE FUNCTION binary_quantize(halfvec) RETURNS bit
    AS 'MODULE_PATHNAME', 'vecext_halfvec_binary_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION binary_quantize(halfvec) IS
    'one bit per element: is it positive?';

CREATE FUNCTION subvector(halfvec, integer, integer) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_subvector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION subvector(halfvec, integer, integer) IS
    'elements from a start, counted from 1, and how many';

-- halfvec: functions behind operators, operator classes and aggregates

CREATE FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l2_squared_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) IS
    'squared Euclidean distance';

CREATE FUNCTION halfvec_negative_inner_product(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION halfvec_negative_inner_product(halfvec, halfvec) IS
    'inner product times -1';

CREATE FUNCTION halfvec_spherical_distance(halfvec, halfvec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_halfvec_spherical_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION halfvec_spherical_distance(halfvec, halfvec) IS
    'angle between unit vectors, as a share of a half turn';

CREATE FUNCTION halfvec_add(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_add(halfvec, halfvec) IS
    'sum, element by element';

CREATE FUNCTION halfvec_sub(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_sub' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_sub(halfvec, halfvec) IS
    'difference, element by element';

CREATE FUNCTION halfvec_mul(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_mul' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_mul(halfvec, halfvec) IS
    'product, element by element';

CREATE FUNCTION halfvec_neg(halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_neg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_neg(halfvec) IS
    'every element times -1';

CREATE FUNCTION halfvec_scale(halfvec, real) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_scale' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_scale(halfvec, real) IS
    'every element times a number';

CREATE FUNCTION halfvec_scale(real, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_scale_left' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_scale(real, halfvec) IS
    'every element times a number';

CREATE FUNCTION halfvec_divide(halfvec, real) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_divide' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_divide(halfvec, real) IS
    'every element divided by a number';

CREATE FUNCTION halfvec_concat(halfvec, halfvec) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_concat' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_concat(halfvec, halfvec) IS
    'concatenation';

CREATE FUNCTION halfvec_lt(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_lt(halfvec, halfvec) IS
    'less than';

CREATE FUNCTION halfvec_le(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_le(halfvec, halfvec) IS
    'less than or equal';

CREATE FUNCTION halfvec_eq(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_eq(halfvec, halfvec) IS
    'equal';

CREATE FUNCTION halfvec_ne(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_ne(halfvec, halfvec) IS
    'not equal';

CREATE FUNCTION halfvec_ge(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_ge(halfvec, halfvec) IS
    'greater than or equal';

CREATE FUNCTION halfvec_gt(halfvec, halfvec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_halfvec_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_gt(halfvec, halfvec) IS
    'greater than';

CREATE FUNCTION halfvec_cmp(halfvec, halfvec) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_halfvec_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_cmp(halfvec, halfvec) IS
    'less, equal or greater: -1, 0, 1';

CREATE FUNCTION halfvec_accum(double precision[], halfvec) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'vecext_halfvec_accum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_accum(double precision[], halfvec) IS
    'transition function of avg(halfvec)';

CREATE FUNCTION halfvec_avg(double precision[]) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_avg(double precision[]) IS
    'final function of avg(halfvec)';

CREATE FUNCTION halfvec_combine(double precision[], double precision[]) RETURNS double precision[]
    AS 'MODULE_PATHNAME', 'vecext_vector_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_combine(double precision[], double precision[]) IS
    'combine function of avg(halfvec)';

-- halfvec: operators

CREATE OPERATOR <-> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = l2_distance,
    COMMUTATOR = '<->'
);
COMMENT ON OPERATOR <-> (halfvec, halfvec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_negative_inner_product,
    COMMUTATOR = '<#>'
);
COMMENT ON OPERATOR <#> (halfvec, halfvec) IS 'inner product times -1';

CREATE OPERATOR <=> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = cosine_distance,
    COMMUTATOR = '<=>'
);
COMMENT ON OPERATOR <=> (halfvec, halfvec) IS 'cosine distance';

CREATE OPERATOR <+> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = l1_distance,
    COMMUTATOR = '<+>'
);
COMMENT ON OPERATOR <+> (halfvec, halfvec) IS 'taxicab distance';

CREATE OPERATOR + (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (halfvec, halfvec) IS 'sum, element by element';

CREATE OPERATOR - (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_sub
);
COMMENT ON OPERATOR - (halfvec, halfvec) IS 'difference, element by element';

CREATE OPERATOR * (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (halfvec, halfvec) IS 'product, element by element';

CREATE OPERATOR - (
    RIGHTARG = halfvec, FUNCTION = halfvec_neg
);
COMMENT ON OPERATOR - (NONE, halfvec) IS 'every element times -1';

CREATE OPERATOR * (
    LEFTARG = halfvec, RIGHTARG = real, FUNCTION = halfvec_scale,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (halfvec, real) IS 'every element times a number';

CREATE OPERATOR * (
    LEFTARG = real, RIGHTARG = halfvec, FUNCTION = halfvec_scale,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (real, halfvec) IS 'every element times a number';

CREATE OPERATOR / (
    LEFTARG = halfvec, RIGHTARG = real, FUNCTION = halfvec_divide
);
COMMENT ON OPERATOR / (halfvec, real) IS 'every element divided by a number';

CREATE OPERATOR || (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_concat
);
COMMENT ON OPERATOR || (halfvec, halfvec) IS 'concatenation';

CREATE OPERATOR < (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (halfvec, halfvec) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (halfvec, halfvec) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (halfvec, halfvec) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (halfvec, halfvec) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (halfvec, halfvec) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (halfvec, halfvec) IS 'greater than';

-- halfvec: aggregates

CREATE AGGREGATE avg(halfvec) (
    SFUNC = halfvec_accum,
    STYPE = double precision[],
    INITCOND = '{0}',
    FINALFUNC = halfvec_avg,
    COMBINEFUNC = halfvec_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(halfvec) IS 'average, element by element';

CREATE AGGREGATE sum(halfvec) (
    SFUNC = halfvec_add,
    STYPE = halfvec,
    COMBINEFUNC = halfvec_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(halfvec) IS 'sum, element by element';

-- halfvec: btree class

CREATE OPERATOR CLASS halfvec_ops
    DEFAULT FOR TYPE halfvec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 halfvec_cmp(halfvec, halfvec);
COMMENT ON OPERATOR CLASS halfvec_ops USING btree IS 'order by elements, then by dimensions';
COMMENT ON OPERATOR FAMILY halfvec_ops USING btree IS 'order by elements, then by dimensions';

--
-- Type sparsevec: only the non-zero elements, single-precision
--

CREATE TYPE sparsevec;
COMMENT ON TYPE sparsevec IS
    'vector of which only the non-zero elements are stored, in single precision';

CREATE FUNCTION sparsevec_in(cstring, oid, integer) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_in(cstring, oid, integer) IS
    'input function of sparsevec';

CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_out(sparsevec) IS
    'output function of sparsevec';

CREATE FUNCTION sparsevec_typmod_in(cstring[]) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_typmod_in(cstring[]) IS
    'type modifier input function of sparsevec';

CREATE FUNCTION sparsevec_recv(internal, oid, integer) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_recv(internal, oid, integer) IS
    'binary input function of sparsevec';

CREATE FUNCTION sparsevec_send(sparsevec) RETURNS bytea
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_send(sparsevec) IS
    'binary output function of sparsevec';

CREATE TYPE sparsevec (
    INPUT = sparsevec_in,
    OUTPUT = sparsevec_out,
    TYPMOD_IN = sparsevec_typmod_in,
    RECEIVE = sparsevec_recv,
    SEND = sparsevec_send,
    ANALYZE = vecext_typanalyze,
    STORAGE = external
);

-- sparsevec: casts

CREATE FUNCTION sparsevec(sparsevec, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec(sparsevec, integer, boolean) IS
    'apply the type modifier of sparsevec';

CREATE FUNCTION vector_to_sparsevec(vector, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_vector_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_to_sparsevec(vector, integer, boolean) IS
    'convert vector to sparsevec';

CREATE FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_halfvec_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) IS
    'convert halfvec to sparsevec';

CREATE FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) RETURNS vector
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_to_vector' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) IS
    'convert sparsevec to vector';

CREATE FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) RETURNS halfvec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_to_halfvec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) IS
    'convert sparsevec to halfvec';

CREATE FUNCTION array_to_sparsevec(smallint[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(smallint[], integer, boolean) IS
    'convert smallint[] to sparsevec';

CREATE FUNCTION array_to_sparsevec(integer[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(integer[], integer, boolean) IS
    'convert integer[] to sparsevec';

CREATE FUNCTION array_to_sparsevec(bigint[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(bigint[], integer, boolean) IS
    'convert bigint[] to sparsevec';

CREATE FUNCTION array_to_sparsevec(real[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(real[], integer, boolean) IS
    'convert real[] to sparsevec';

CREATE FUNCTION array_to_sparsevec(double precision[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(double precision[], integer, boolean) IS
    'convert double precision[] to sparsevec';

CREATE FUNCTION array_to_sparsevec(numeric[], integer, boolean) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_array_to_sparsevec' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION array_to_sparsevec(numeric[], integer, boolean) IS
    'convert numeric[] to sparsevec';

CREATE CAST (sparsevec AS sparsevec)
    WITH FUNCTION sparsevec(sparsevec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (sparsevec AS sparsevec) IS 'apply the type modifier';

CREATE CAST (vector AS sparsevec)
    WITH FUNCTION vector_to_sparsevec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS sparsevec) IS 'convert vector to sparsevec';

CREATE CAST (halfvec AS sparsevec)
    WITH FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS sparsevec) IS 'convert halfvec to sparsevec';

CREATE CAST (sparsevec AS vector)
    WITH FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS vector) IS 'convert sparsevec to vector';

CREATE CAST (sparsevec AS halfvec)
    WITH FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS halfvec) IS 'convert sparsevec to halfvec';

CREATE CAST (smallint[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(smallint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (smallint[] AS sparsevec) IS 'convert smallint[] to sparsevec';

CREATE CAST (integer[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS sparsevec) IS 'convert integer[] to sparsevec';

CREATE CAST (bigint[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(bigint[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bigint[] AS sparsevec) IS 'convert bigint[] to sparsevec';

CREATE CAST (real[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS sparsevec) IS 'convert real[] to sparsevec';

CREATE CAST (double precision[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS sparsevec) IS 'convert double precision[] to sparsevec';

CREATE CAST (numeric[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS sparsevec) IS 'convert numeric[] to sparsevec';

-- sparsevec: functions

CREATE FUNCTION l2_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l2_distance(sparsevec, sparsevec) IS
    'Euclidean distance';

CREATE FUNCTION inner_product(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION inner_product(sparsevec, sparsevec) IS
    'inner product';

CREATE FUNCTION cosine_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION cosine_distance(sparsevec, sparsevec) IS
    'cosine distance: 1 minus the cosine';

CREATE FUNCTION l1_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l1_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION l1_distance(sparsevec, sparsevec) IS
    'taxicab distance';

CREATE FUNCTION vector_dims(sparsevec) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(sparsevec) IS
    'number of dimensions';

CREATE FUNCTION l2_norm(sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l2_norm' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_norm(sparsevec) IS
    'Euclidean norm';

CREATE FUNCTION l2_normalize(sparsevec) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l2_normalize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION l2_normalize(sparsevec) IS
    'scale to unit length';

-- sparsevec: functions behind operators, operator classes and aggregates

CREATE FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l2_squared_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) IS
    'squared Euclidean distance';

CREATE FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) IS
    'inner product, negated: smaller is nearer';

CREATE FUNCTION sparsevec_lt(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_lt(sparsevec, sparsevec) IS
    'less than';

CREATE FUNCTION sparsevec_le(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_le(sparsevec, sparsevec) IS
    'less than or equal';

CREATE FUNCTION sparsevec_eq(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_eq(sparsevec, sparsevec) IS
    'equal';

CREATE FUNCTION sparsevec_ne(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_ne' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_ne(sparsevec, sparsevec) IS
    'not equal';

CREATE FUNCTION sparsevec_ge(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_ge(sparsevec, sparsevec) IS
    'greater than or equal';

CREATE FUNCTION sparsevec_gt(sparsevec, sparsevec) RETURNS boolean
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_gt(sparsevec, sparsevec) IS
    'greater than';

CREATE FUNCTION sparsevec_cmp(sparsevec, sparsevec) RETURNS integer
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_cmp(sparsevec, sparsevec) IS
    'less, equal or greater: -1, 0, 1';

-- not strict: a state of type internal begins as NULL

CREATE FUNCTION sparsevec_accum(internal, sparsevec) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_accum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_accum(internal, sparsevec) IS
    'transition function of avg(sparsevec) and sum(sparsevec)';

CREATE FUNCTION sparsevec_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_combine(internal, internal) IS
    'combine function of avg(sparsevec) and sum(sparsevec)';

CREATE FUNCTION sparsevec_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_serialize(internal) IS
    'serialization function of avg(sparsevec) and sum(sparsevec)';

CREATE FUNCTION sparsevec_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_deserialize(bytea, internal) IS
    'deserialization function of avg(sparsevec) and sum(sparsevec)';

CREATE FUNCTION sparsevec_avg(internal) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_avg(internal) IS
    'final function of avg(sparsevec)';

CREATE FUNCTION sparsevec_sum(internal) RETURNS sparsevec
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_sum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_sum(internal) IS
    'final function of sum(sparsevec)';

-- sparsevec: operators

CREATE OPERATOR <-> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (sparsevec, sparsevec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (sparsevec, sparsevec) IS 'inner product, negated';

CREATE OPERATOR <=> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (sparsevec, sparsevec) IS 'cosine distance';

CREATE OPERATOR <+> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (sparsevec, sparsevec) IS 'taxicab distance';

CREATE OPERATOR < (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (sparsevec, sparsevec) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (sparsevec, sparsevec) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (sparsevec, sparsevec) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (sparsevec, sparsevec) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (sparsevec, sparsevec) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (sparsevec, sparsevec) IS 'greater than';

-- sparsevec: aggregates

CREATE AGGREGATE avg(sparsevec) (
    SFUNC = sparsevec_accum,
    STYPE = internal,
    FINALFUNC = sparsevec_avg,
    COMBINEFUNC = sparsevec_combine,
    SERIALFUNC = sparsevec_serialize,
    DESERIALFUNC = sparsevec_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(sparsevec) IS 'average, element by element';

CREATE AGGREGATE sum(sparsevec) (
    SFUNC = sparsevec_accum,
    STYPE = internal,
    FINALFUNC = sparsevec_sum,
    COMBINEFUNC = sparsevec_combine,
    SERIALFUNC = sparsevec_serialize,
    DESERIALFUNC = sparsevec_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(sparsevec) IS 'sum, element by element';

-- sparsevec: btree class

CREATE OPERATOR CLASS sparsevec_ops
    DEFAULT FOR TYPE sparsevec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 sparsevec_cmp(sparsevec, sparsevec);
COMMENT ON OPERATOR CLASS sparsevec_ops USING btree IS 'order of the equivalent dense vectors';
COMMENT ON OPERATOR FAMILY sparsevec_ops USING btree IS 'order of the equivalent dense vectors';

--
-- Type bit of the server: binary vectors
--

-- bit: functions

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_bit_hamming_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION hamming_distance(bit, bit) IS
    'Hamming distance: how many bits differ';

CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_bit_jaccard_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    COST 5 SUPPORT vecext_distance_support;
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS
    'Jaccard distance: 1 minus common ones over all ones';

-- bit: operators

CREATE OPERATOR <~> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';

CREATE OPERATOR <%> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';

---
-- The access method hnsw
--

CREATE FUNCTION hnswhandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'vecext_hnsw_handler' LANGUAGE C;
COMMENT ON FUNCTION hnswhandler(internal) IS 'handler of the index access method hnsw';

CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnswhandler;
COMMENT ON ACCESS METHOD hnsw IS 'approximate nearest neighbors by a graph (HNSW)';

-- hnsw: what an operator class measures by

CREATE FUNCTION vector_l2_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_vector_l2_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_l2_metric(internal) IS 'for indexes: Euclidean distance of vector';

CREATE FUNCTION vector_ip_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_vector_ip_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_ip_metric(internal) IS 'for indexes: inner product times -1 of vector';

CREATE FUNCTION vector_cosine_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_vector_cosine_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_cosine_metric(internal) IS 'for indexes: cosine distance of vector';

CREATE FUNCTION vector_l1_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_vector_l1_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_l1_metric(internal) IS 'for indexes: taxicab distance of vector';

CREATE FUNCTION halfvec_l2_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l2_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_l2_metric(internal) IS 'for indexes: Euclidean distance of halfvec';

CREATE FUNCTION halfvec_ip_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_halfvec_ip_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_ip_metric(internal) IS 'for indexes: inner product times -1 of halfvec';

CREATE FUNCTION halfvec_cosine_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_halfvec_cosine_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_cosine_metric(internal) IS 'for indexes: cosine distance of halfvec';

CREATE FUNCTION halfvec_l1_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_halfvec_l1_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION halfvec_l1_metric(internal) IS 'for indexes: taxicab distance of halfvec';

CREATE FUNCTION sparsevec_l2_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l2_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_l2_metric(internal) IS 'for indexes: Euclidean distance of sparsevec';

CREATE FUNCTION sparsevec_ip_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_ip_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_ip_metric(internal) IS 'for indexes: inner product times -1 of sparsevec';

CREATE FUNCTION sparsevec_cosine_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_cosine_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_cosine_metric(internal) IS 'for indexes: cosine distance of sparsevec';

CREATE FUNCTION sparsevec_l1_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_sparsevec_l1_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION sparsevec_l1_metric(internal) IS 'for indexes: taxicab distance of sparsevec';

CREATE FUNCTION bit_hamming_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_bit_hamming_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_hamming_metric(internal) IS 'for indexes: Hamming distance of bit';

CREATE FUNCTION bit_jaccard_metric(internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'vecext_bit_jaccard_metric' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_jaccard_metric(internal) IS 'for indexes: Jaccard distance of bit';

-- hnsw: operator classes

CREATE OPERATOR CLASS vector_l2_ops
    DEFAULT FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_metric(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING hnsw IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY vector_l2_ops USING hnsw IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS vector_ip_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 vector_ip_metric(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING hnsw IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY vector_ip_ops USING hnsw IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS vector_cosine_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 vector_cosine_metric(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING hnsw IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING hnsw IS 'nearest by cosine distance';

CREATE OPERATOR CLASS vector_l1_ops
    FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 vector_l1_metric(internal);
COMMENT ON OPERATOR CLASS vector_l1_ops USING hnsw IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY vector_l1_ops USING hnsw IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS halfvec_l2_ops
    DEFAULT FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING hnsw IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING hnsw IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS halfvec_ip_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_ip_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING hnsw IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING hnsw IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS halfvec_cosine_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_cosine_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING hnsw IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING hnsw IS 'nearest by cosine distance';

CREATE OPERATOR CLASS halfvec_l1_ops
    FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l1_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING hnsw IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY halfvec_l1_ops USING hnsw IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS sparsevec_l2_ops
    DEFAULT FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l2_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_l2_ops USING hnsw IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY sparsevec_l2_ops USING hnsw IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS sparsevec_ip_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_ip_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_ip_ops USING hnsw IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY sparsevec_ip_ops USING hnsw IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS sparsevec_cosine_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_cosine_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_cosine_ops USING hnsw IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY sparsevec_cosine_ops USING hnsw IS 'nearest by cosine distance';

CREATE OPERATOR CLASS sparsevec_l1_ops
    FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l1_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_l1_ops USING hnsw IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY sparsevec_l1_ops USING hnsw IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS bit_hamming_ops
    DEFAULT FOR TYPE bit USING hnsw AS
    OPERATOR 1 <~> FOR ORDER BY float_ops,
    FUNCTION 1 bit_hamming_metric(internal);
COMMENT ON OPERATOR CLASS bit_hamming_ops USING hnsw IS 'nearest by Hamming distance';
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING hnsw IS 'nearest by Hamming distance';

CREATE OPERATOR CLASS bit_jaccard_ops
    FOR TYPE bit USING hnsw AS
    OPERATOR 1 <%> FOR ORDER BY float_ops,
    FUNCTION 1 bit_jaccard_metric(internal);
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING hnsw IS 'nearest by Jaccard distance';
COMMENT ON OPERATOR FAMILY bit_jaccard_ops USING hnsw IS 'nearest by Jaccard distance';

-- hnsw: operator classes of filter columns; strategy 1 is the order by distance

CREATE OPERATOR CLASS bool_ops
    DEFAULT FOR TYPE bool USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS bool_ops USING hnsw IS 'filter by bool';
COMMENT ON OPERATOR FAMILY bool_ops USING hnsw IS 'filter by bool';

CREATE OPERATOR CLASS int2_ops
    DEFAULT FOR TYPE int2 USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int2, int4),
    OPERATOR 3 <= (int2, int4),
    OPERATOR 4 = (int2, int4),
    OPERATOR 5 >= (int2, int4),
    OPERATOR 6 > (int2, int4),
    OPERATOR 2 < (int2, int8),
    OPERATOR 3 <= (int2, int8),
    OPERATOR 4 = (int2, int8),
    OPERATOR 5 >= (int2, int8),
    OPERATOR 6 > (int2, int8);
COMMENT ON OPERATOR CLASS int2_ops USING hnsw IS 'filter by int2';
COMMENT ON OPERATOR FAMILY int2_ops USING hnsw IS 'filter by int2';

CREATE OPERATOR CLASS int4_ops
    DEFAULT FOR TYPE int4 USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int4, int2),
    OPERATOR 3 <= (int4, int2),
    OPERATOR 4 = (int4, int2),
    OPERATOR 5 >= (int4, int2),
    OPERATOR 6 > (int4, int2),
    OPERATOR 2 < (int4, int8),
    OPERATOR 3 <= (int4, int8),
    OPERATOR 4 = (int4, int8),
    OPERATOR 5 >= (int4, int8),
    OPERATOR 6 > (int4, int8);
COMMENT ON OPERATOR CLASS int4_ops USING hnsw IS 'filter by int4';
COMMENT ON OPERATOR FAMILY int4_ops USING hnsw IS 'filter by int4';

CREATE OPERATOR CLASS int8_ops
    DEFAULT FOR TYPE int8 USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int8, int2),
    OPERATOR 3 <= (int8, int2),
    OPERATOR 4 = (int8, int2),
    OPERATOR 5 >= (int8, int2),
    OPERATOR 6 > (int8, int2),
    OPERATOR 2 < (int8, int4),
    OPERATOR 3 <= (int8, int4),
    OPERATOR 4 = (int8, int4),
    OPERATOR 5 >= (int8, int4),
    OPERATOR 6 > (int8, int4);
COMMENT ON OPERATOR CLASS int8_ops USING hnsw IS 'filter by int8';
COMMENT ON OPERATOR FAMILY int8_ops USING hnsw IS 'filter by int8';

CREATE OPERATOR CLASS float4_ops
    DEFAULT FOR TYPE float4 USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (float4, float8),
    OPERATOR 3 <= (float4, float8),
    OPERATOR 4 = (float4, float8),
    OPERATOR 5 >= (float4, float8),
    OPERATOR 6 > (float4, float8);
COMMENT ON OPERATOR CLASS float4_ops USING hnsw IS 'filter by float4';
COMMENT ON OPERATOR FAMILY float4_ops USING hnsw IS 'filter by float4';

CREATE OPERATOR CLASS float8_ops
    DEFAULT FOR TYPE float8 USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (float8, float4),
    OPERATOR 3 <= (float8, float4),
    OPERATOR 4 = (float8, float4),
    OPERATOR 5 >= (float8, float4),
    OPERATOR 6 > (float8, float4);
COMMENT ON OPERATOR CLASS float8_ops USING hnsw IS 'filter by float8';
COMMENT ON OPERATOR FAMILY float8_ops USING hnsw IS 'filter by float8';

CREATE OPERATOR CLASS numeric_ops
    DEFAULT FOR TYPE numeric USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS numeric_ops USING hnsw IS 'filter by numeric';
COMMENT ON OPERATOR FAMILY numeric_ops USING hnsw IS 'filter by numeric';

CREATE OPERATOR CLASS date_ops
    DEFAULT FOR TYPE date USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (date, timestamp),
    OPERATOR 3 <= (date, timestamp),
    OPERATOR 4 = (date, timestamp),
    OPERATOR 5 >= (date, timestamp),
    OPERATOR 6 > (date, timestamp),
    OPERATOR 2 < (date, timestamptz),
    OPERATOR 3 <= (date, timestamptz),
    OPERATOR 4 = (date, timestamptz),
    OPERATOR 5 >= (date, timestamptz),
    OPERATOR 6 > (date, timestamptz);
COMMENT ON OPERATOR CLASS date_ops USING hnsw IS 'filter by date';
COMMENT ON OPERATOR FAMILY date_ops USING hnsw IS 'filter by date';

CREATE OPERATOR CLASS timestamp_ops
    DEFAULT FOR TYPE timestamp USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (timestamp, date),
    OPERATOR 3 <= (timestamp, date),
    OPERATOR 4 = (timestamp, date),
    OPERATOR 5 >= (timestamp, date),
    OPERATOR 6 > (timestamp, date),
    OPERATOR 2 < (timestamp, timestamptz),
    OPERATOR 3 <= (timestamp, timestamptz),
    OPERATOR 4 = (timestamp, timestamptz),
    OPERATOR 5 >= (timestamp, timestamptz),
    OPERATOR 6 > (timestamp, timestamptz);
COMMENT ON OPERATOR CLASS timestamp_ops USING hnsw IS 'filter by timestamp';
COMMENT ON OPERATOR FAMILY timestamp_ops USING hnsw IS 'filter by timestamp';

CREATE OPERATOR CLASS timestamptz_ops
    DEFAULT FOR TYPE timestamptz USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (timestamptz, date),
    OPERATOR 3 <= (timestamptz, date),
    OPERATOR 4 = (timestamptz, date),
    OPERATOR 5 >= (timestamptz, date),
    OPERATOR 6 > (timestamptz, date),
    OPERATOR 2 < (timestamptz, timestamp),
    OPERATOR 3 <= (timestamptz, timestamp),
    OPERATOR 4 = (timestamptz, timestamp),
    OPERATOR 5 >= (timestamptz, timestamp),
    OPERATOR 6 > (timestamptz, timestamp);
COMMENT ON OPERATOR CLASS timestamptz_ops USING hnsw IS 'filter by timestamptz';
COMMENT ON OPERATOR FAMILY timestamptz_ops USING hnsw IS 'filter by timestamptz';

CREATE OPERATOR CLASS uuid_ops
    DEFAULT FOR TYPE uuid USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS uuid_ops USING hnsw IS 'filter by uuid';
COMMENT ON OPERATOR FAMILY uuid_ops USING hnsw IS 'filter by uuid';

CREATE OPERATOR CLASS text_ops
    DEFAULT FOR TYPE text USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS text_ops USING hnsw IS 'filter by text, varchar';
COMMENT ON OPERATOR FAMILY text_ops USING hnsw IS 'filter by text, varchar';

CREATE OPERATOR CLASS enum_ops
    DEFAULT FOR TYPE anyenum USING hnsw AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS enum_ops USING hnsw IS 'filter by enum types';
COMMENT ON OPERATOR FAMILY enum_ops USING hnsw IS 'filter by enum types';

CREATE OPERATOR CLASS int2_array_ops
    DEFAULT FOR TYPE int2[] USING hnsw AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int2_array_ops USING hnsw IS 'filter by elements of int2[]';
COMMENT ON OPERATOR FAMILY int2_array_ops USING hnsw IS 'filter by elements of int2[]';

CREATE OPERATOR CLASS int4_array_ops
    DEFAULT FOR TYPE int4[] USING hnsw AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int4_array_ops USING hnsw IS 'filter by elements of int4[]';
COMMENT ON OPERATOR FAMILY int4_array_ops USING hnsw IS 'filter by elements of int4[]';

CREATE OPERATOR CLASS int8_array_ops
    DEFAULT FOR TYPE int8[] USING hnsw AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int8_array_ops USING hnsw IS 'filter by elements of int8[]';
COMMENT ON OPERATOR FAMILY int8_array_ops USING hnsw IS 'filter by elements of int8[]';

CREATE OPERATOR CLASS text_array_ops
    DEFAULT FOR TYPE text[] USING hnsw AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS text_array_ops USING hnsw IS 'filter by elements of text[]';
COMMENT ON OPERATOR FAMILY text_array_ops USING hnsw IS 'filter by elements of text[]';

CREATE OPERATOR CLASS varchar_array_ops
    DEFAULT FOR TYPE varchar[] USING hnsw AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS varchar_array_ops USING hnsw IS 'filter by elements of varchar[]';
COMMENT ON OPERATOR FAMILY varchar_array_ops USING hnsw IS 'filter by elements of varchar[]';

---
-- The access method ivfflat
--

CREATE FUNCTION ivfflathandler(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'vecext_ivfflat_handler' LANGUAGE C;
COMMENT ON FUNCTION ivfflathandler(internal) IS 'handler of the index access method ivfflat';

CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflathandler;
COMMENT ON ACCESS METHOD ivfflat IS 'approximate nearest neighbors by lists (IVF)';

-- ivfflat: operator classes

CREATE OPERATOR CLASS vector_l2_ops
    DEFAULT FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 vector_l2_metric(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING ivfflat IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY vector_l2_ops USING ivfflat IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS vector_ip_ops
    FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 vector_ip_metric(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING ivfflat IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY vector_ip_ops USING ivfflat IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS vector_cosine_ops
    FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 vector_cosine_metric(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING ivfflat IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING ivfflat IS 'nearest by cosine distance';

CREATE OPERATOR CLASS vector_l1_ops
    FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 vector_l1_metric(internal);
COMMENT ON OPERATOR CLASS vector_l1_ops USING ivfflat IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY vector_l1_ops USING ivfflat IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS halfvec_l2_ops
    DEFAULT FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l2_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING ivfflat IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING ivfflat IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS halfvec_ip_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_ip_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING ivfflat IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING ivfflat IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS halfvec_cosine_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_cosine_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING ivfflat IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING ivfflat IS 'nearest by cosine distance';

CREATE OPERATOR CLASS halfvec_l1_ops
    FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 halfvec_l1_metric(internal);
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING ivfflat IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY halfvec_l1_ops USING ivfflat IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS sparsevec_l2_ops
    DEFAULT FOR TYPE sparsevec USING ivfflat AS
    OPERATOR 1 <-> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l2_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_l2_ops USING ivfflat IS 'nearest by Euclidean distance';
COMMENT ON OPERATOR FAMILY sparsevec_l2_ops USING ivfflat IS 'nearest by Euclidean distance';

CREATE OPERATOR CLASS sparsevec_ip_ops
    FOR TYPE sparsevec USING ivfflat AS
    OPERATOR 1 <#> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_ip_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_ip_ops USING ivfflat IS 'nearest by inner product times -1';
COMMENT ON OPERATOR FAMILY sparsevec_ip_ops USING ivfflat IS 'nearest by inner product times -1';

CREATE OPERATOR CLASS sparsevec_cosine_ops
    FOR TYPE sparsevec USING ivfflat AS
    OPERATOR 1 <=> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_cosine_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_cosine_ops USING ivfflat IS 'nearest by cosine distance';
COMMENT ON OPERATOR FAMILY sparsevec_cosine_ops USING ivfflat IS 'nearest by cosine distance';

CREATE OPERATOR CLASS sparsevec_l1_ops
    FOR TYPE sparsevec USING ivfflat AS
    OPERATOR 1 <+> FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l1_metric(internal);
COMMENT ON OPERATOR CLASS sparsevec_l1_ops USING ivfflat IS 'nearest by taxicab distance';
COMMENT ON OPERATOR FAMILY sparsevec_l1_ops USING ivfflat IS 'nearest by taxicab distance';

CREATE OPERATOR CLASS bit_hamming_ops
    DEFAULT FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <~> FOR ORDER BY float_ops,
    FUNCTION 1 bit_hamming_metric(internal);
COMMENT ON OPERATOR CLASS bit_hamming_ops USING ivfflat IS 'nearest by Hamming distance';
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING ivfflat IS 'nearest by Hamming distance';

CREATE OPERATOR CLASS bit_jaccard_ops
    FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <%> FOR ORDER BY float_ops,
    FUNCTION 1 bit_jaccard_metric(internal);
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING ivfflat IS 'nearest by Jaccard distance';
COMMENT ON OPERATOR FAMILY bit_jaccard_ops USING ivfflat IS 'nearest by Jaccard distance';

-- ivfflat: operator classes of filter columns; strategy 1 is the order by distance

CREATE OPERATOR CLASS bool_ops
    DEFAULT FOR TYPE bool USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS bool_ops USING ivfflat IS 'filter by bool';
COMMENT ON OPERATOR FAMILY bool_ops USING ivfflat IS 'filter by bool';

CREATE OPERATOR CLASS int2_ops
    DEFAULT FOR TYPE int2 USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int2, int4),
    OPERATOR 3 <= (int2, int4),
    OPERATOR 4 = (int2, int4),
    OPERATOR 5 >= (int2, int4),
    OPERATOR 6 > (int2, int4),
    OPERATOR 2 < (int2, int8),
    OPERATOR 3 <= (int2, int8),
    OPERATOR 4 = (int2, int8),
    OPERATOR 5 >= (int2, int8),
    OPERATOR 6 > (int2, int8);
COMMENT ON OPERATOR CLASS int2_ops USING ivfflat IS 'filter by int2';
COMMENT ON OPERATOR FAMILY int2_ops USING ivfflat IS 'filter by int2';

CREATE OPERATOR CLASS int4_ops
    DEFAULT FOR TYPE int4 USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int4, int2),
    OPERATOR 3 <= (int4, int2),
    OPERATOR 4 = (int4, int2),
    OPERATOR 5 >= (int4, int2),
    OPERATOR 6 > (int4, int2),
    OPERATOR 2 < (int4, int8),
    OPERATOR 3 <= (int4, int8),
    OPERATOR 4 = (int4, int8),
    OPERATOR 5 >= (int4, int8),
    OPERATOR 6 > (int4, int8);
COMMENT ON OPERATOR CLASS int4_ops USING ivfflat IS 'filter by int4';
COMMENT ON OPERATOR FAMILY int4_ops USING ivfflat IS 'filter by int4';

CREATE OPERATOR CLASS int8_ops
    DEFAULT FOR TYPE int8 USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (int8, int2),
    OPERATOR 3 <= (int8, int2),
    OPERATOR 4 = (int8, int2),
    OPERATOR 5 >= (int8, int2),
    OPERATOR 6 > (int8, int2),
    OPERATOR 2 < (int8, int4),
    OPERATOR 3 <= (int8, int4),
    OPERATOR 4 = (int8, int4),
    OPERATOR 5 >= (int8, int4),
    OPERATOR 6 > (int8, int4);
COMMENT ON OPERATOR CLASS int8_ops USING ivfflat IS 'filter by int8';
COMMENT ON OPERATOR FAMILY int8_ops USING ivfflat IS 'filter by int8';

CREATE OPERATOR CLASS float4_ops
    DEFAULT FOR TYPE float4 USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (float4, float8),
    OPERATOR 3 <= (float4, float8),
    OPERATOR 4 = (float4, float8),
    OPERATOR 5 >= (float4, float8),
    OPERATOR 6 > (float4, float8);
COMMENT ON OPERATOR CLASS float4_ops USING ivfflat IS 'filter by float4';
COMMENT ON OPERATOR FAMILY float4_ops USING ivfflat IS 'filter by float4';

CREATE OPERATOR CLASS float8_ops
    DEFAULT FOR TYPE float8 USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (float8, float4),
    OPERATOR 3 <= (float8, float4),
    OPERATOR 4 = (float8, float4),
    OPERATOR 5 >= (float8, float4),
    OPERATOR 6 > (float8, float4);
COMMENT ON OPERATOR CLASS float8_ops USING ivfflat IS 'filter by float8';
COMMENT ON OPERATOR FAMILY float8_ops USING ivfflat IS 'filter by float8';

CREATE OPERATOR CLASS numeric_ops
    DEFAULT FOR TYPE numeric USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS numeric_ops USING ivfflat IS 'filter by numeric';
COMMENT ON OPERATOR FAMILY numeric_ops USING ivfflat IS 'filter by numeric';

CREATE OPERATOR CLASS date_ops
    DEFAULT FOR TYPE date USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (date, timestamp),
    OPERATOR 3 <= (date, timestamp),
    OPERATOR 4 = (date, timestamp),
    OPERATOR 5 >= (date, timestamp),
    OPERATOR 6 > (date, timestamp),
    OPERATOR 2 < (date, timestamptz),
    OPERATOR 3 <= (date, timestamptz),
    OPERATOR 4 = (date, timestamptz),
    OPERATOR 5 >= (date, timestamptz),
    OPERATOR 6 > (date, timestamptz);
COMMENT ON OPERATOR CLASS date_ops USING ivfflat IS 'filter by date';
COMMENT ON OPERATOR FAMILY date_ops USING ivfflat IS 'filter by date';

CREATE OPERATOR CLASS timestamp_ops
    DEFAULT FOR TYPE timestamp USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (timestamp, date),
    OPERATOR 3 <= (timestamp, date),
    OPERATOR 4 = (timestamp, date),
    OPERATOR 5 >= (timestamp, date),
    OPERATOR 6 > (timestamp, date),
    OPERATOR 2 < (timestamp, timestamptz),
    OPERATOR 3 <= (timestamp, timestamptz),
    OPERATOR 4 = (timestamp, timestamptz),
    OPERATOR 5 >= (timestamp, timestamptz),
    OPERATOR 6 > (timestamp, timestamptz);
COMMENT ON OPERATOR CLASS timestamp_ops USING ivfflat IS 'filter by timestamp';
COMMENT ON OPERATOR FAMILY timestamp_ops USING ivfflat IS 'filter by timestamp';

CREATE OPERATOR CLASS timestamptz_ops
    DEFAULT FOR TYPE timestamptz USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >,
    OPERATOR 2 < (timestamptz, date),
    OPERATOR 3 <= (timestamptz, date),
    OPERATOR 4 = (timestamptz, date),
    OPERATOR 5 >= (timestamptz, date),
    OPERATOR 6 > (timestamptz, date),
    OPERATOR 2 < (timestamptz, timestamp),
    OPERATOR 3 <= (timestamptz, timestamp),
    OPERATOR 4 = (timestamptz, timestamp),
    OPERATOR 5 >= (timestamptz, timestamp),
    OPERATOR 6 > (timestamptz, timestamp);
COMMENT ON OPERATOR CLASS timestamptz_ops USING ivfflat IS 'filter by timestamptz';
COMMENT ON OPERATOR FAMILY timestamptz_ops USING ivfflat IS 'filter by timestamptz';

CREATE OPERATOR CLASS uuid_ops
    DEFAULT FOR TYPE uuid USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS uuid_ops USING ivfflat IS 'filter by uuid';
COMMENT ON OPERATOR FAMILY uuid_ops USING ivfflat IS 'filter by uuid';

CREATE OPERATOR CLASS text_ops
    DEFAULT FOR TYPE text USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS text_ops USING ivfflat IS 'filter by text, varchar';
COMMENT ON OPERATOR FAMILY text_ops USING ivfflat IS 'filter by text, varchar';

CREATE OPERATOR CLASS enum_ops
    DEFAULT FOR TYPE anyenum USING ivfflat AS
    OPERATOR 2 <,
    OPERATOR 3 <=,
    OPERATOR 4 =,
    OPERATOR 5 >=,
    OPERATOR 6 >;
COMMENT ON OPERATOR CLASS enum_ops USING ivfflat IS 'filter by enum types';
COMMENT ON OPERATOR FAMILY enum_ops USING ivfflat IS 'filter by enum types';

CREATE OPERATOR CLASS int2_array_ops
    DEFAULT FOR TYPE int2[] USING ivfflat AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int2_array_ops USING ivfflat IS 'filter by elements of int2[]';
COMMENT ON OPERATOR FAMILY int2_array_ops USING ivfflat IS 'filter by elements of int2[]';

CREATE OPERATOR CLASS int4_array_ops
    DEFAULT FOR TYPE int4[] USING ivfflat AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int4_array_ops USING ivfflat IS 'filter by elements of int4[]';
COMMENT ON OPERATOR FAMILY int4_array_ops USING ivfflat IS 'filter by elements of int4[]';

CREATE OPERATOR CLASS int8_array_ops
    DEFAULT FOR TYPE int8[] USING ivfflat AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS int8_array_ops USING ivfflat IS 'filter by elements of int8[]';
COMMENT ON OPERATOR FAMILY int8_array_ops USING ivfflat IS 'filter by elements of int8[]';

CREATE OPERATOR CLASS text_array_ops
    DEFAULT FOR TYPE text[] USING ivfflat AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS text_array_ops USING ivfflat IS 'filter by elements of text[]';
COMMENT ON OPERATOR FAMILY text_array_ops USING ivfflat IS 'filter by elements of text[]';

CREATE OPERATOR CLASS varchar_array_ops
    DEFAULT FOR TYPE varchar[] USING ivfflat AS
    OPERATOR 4 = (anyarray, anyarray),
    OPERATOR 7 && (anyarray, anyarray),
    OPERATOR 8 @> (anyarray, anyarray);
COMMENT ON OPERATOR CLASS varchar_array_ops USING ivfflat IS 'filter by elements of varchar[]';
COMMENT ON OPERATOR FAMILY varchar_array_ops USING ivfflat IS 'filter by elements of varchar[]';

-- looking inside an index: its owner may, and members of pg_read_all_stats

CREATE FUNCTION vecext_index_check(index regclass, heapallindexed boolean DEFAULT false,
    OUT invariant text, OUT blkno bigint, OUT detail text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'vecext_index_check' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecext_index_check(regclass, boolean) IS 'what is wrong with an index; no row: nothing';

CREATE FUNCTION vecext_index_stats(index regclass,
    OUT name text, OUT value double precision, OUT note text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'vecext_index_stats' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecext_index_stats(regclass) IS 'figures of an index';

CREATE FUNCTION vecext_recall(index regclass, sample integer DEFAULT 100, k integer DEFAULT 10)
    RETURNS double precision
    AS 'MODULE_PATHNAME', 'vecext_recall' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecext_recall(regclass, integer, integer) IS 'part of the k nearest rows that an index finds';

-- why a query uses an index, or does not: plans it with the caller's rights, never executes it

CREATE FUNCTION vecext_explain_choice(query text,
    OUT "table" regclass, OUT alias text, OUT index regclass, OUT verdict text, OUT reason text,
    OUT cost double precision, OUT chosen text, OUT chosen_cost double precision,
    OUT rows double precision, OUT selectivity double precision, OUT setting text)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'vecext_explain_choice' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vecext_explain_choice(text) IS 'why the indexes of a SELECT''s tables are used, or not';
