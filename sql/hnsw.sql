-- The access method hnsw with every operator class, against exact search.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set class :abs_srcdir '/sql/include/hnsw_class.psql'
\set classes :abs_srcdir '/sql/include/classes.psql'
\i :classes
