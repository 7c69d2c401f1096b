\echo Use "CREATE EXTENSION vector" to load this file. \quit

CREATE FUNCTION fake_vector_loaded() RETURNS boolean
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT;
