-- The btree classes: sorting, grouping, unique indexes, the limit of a row.
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/'
\set try :include 'try.psql'
\set btree :include 'btree.psql'
\i :try

\set type vector
\i :btree
\set type halfvec
\i :btree
\set type sparsevec
\i :btree

-- neither hashing nor merging
SELECT oprname, oprleft::regtype, oprcanhash, oprcanmerge FROM pg_operator
WHERE oprname = '=' AND oprleft IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype)
ORDER BY oprleft::regtype::text COLLATE "C";
-- a value too large for an index row
CREATE TABLE wide (v vector);
CREATE INDEX ON wide (v);
SELECT pg_temp.run_code(format('INSERT INTO wide SELECT array_agg(i)::vector FROM generate_series(1, %s) i', n))
FROM (VALUES (600), (1000)) v(n);
DROP TABLE wide;
