-- Filter columns of the access method hnsw.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set am hnsw
\set body :abs_srcdir '/sql/include/filter.psql'
\i :body
SELECT * FROM vecext_index_check('filtered_idx', true);
