-- Tables for compare.py: run once in each of the two databases, with the
-- extension (vecext or its peer) installed.  Values are the same in both.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- exact search: 1M x 128 and 200k x 768, in the row
CREATE UNLOGGED TABLE v128 (id integer, v vector(128));
INSERT INTO v128
SELECT i, (SELECT array_agg(trunc(sin(i * 1.7 + g) * 100)::real) FROM generate_series(1, 128) g)::vector
FROM generate_series(1, 1000000) i;
CREATE UNLOGGED TABLE v768 (id integer, v vector(768));
ALTER TABLE v768 ALTER v SET STORAGE plain;
INSERT INTO v768
SELECT i, (SELECT array_agg(sin(i * 1.7 + g)::real) FROM generate_series(1, 768) g)::vector
FROM generate_series(1, 200000) i;

-- text and binary: three million elements at each width, nine decimals
SELECT setseed(0.5);
CREATE UNLOGGED TABLE t128 (t text);
CREATE UNLOGGED TABLE t768 (t text);
CREATE UNLOGGED TABLE t1536 (t text);
ALTER TABLE t768 ALTER t SET STORAGE external;
ALTER TABLE t1536 ALTER t SET STORAGE external;
INSERT INTO t128
SELECT (SELECT '[' || string_agg(round(((random() - 0.5) * 0.2)::numeric, 9)::text, ',') || ']'
        FROM generate_series(1, 128) WHERE i > 0)
FROM generate_series(1, 23437) i;
INSERT INTO t768
SELECT (SELECT '[' || string_agg(round(((random() - 0.5) * 0.2)::numeric, 9)::text, ',') || ']'
        FROM generate_series(1, 768) WHERE i > 0)
FROM generate_series(1, 3906) i;
INSERT INTO t1536
SELECT (SELECT '[' || string_agg(round(((random() - 0.5) * 0.2)::numeric, 9)::text, ',') || ']'
        FROM generate_series(1, 1536) WHERE i > 0)
FROM generate_series(1, 1953) i;
CREATE UNLOGGED TABLE b128 AS SELECT t::vector(128) AS v FROM t128;
CREATE UNLOGGED TABLE b768 AS SELECT t::vector(768) AS v FROM t768;
CREATE UNLOGGED TABLE b1536 AS SELECT t::vector(1536) AS v FROM t1536;
CREATE UNLOGGED TABLE c128 (v vector(128));
CREATE UNLOGGED TABLE c768 (v vector(768));
CREATE UNLOGGED TABLE c1536 (v vector(1536));
VACUUM ANALYZE;

-- files that both databases read back, in the server's /tmp
COPY b128 TO '/tmp/vecext_bench_128.txt';
COPY b768 TO '/tmp/vecext_bench_768.txt';
COPY b1536 TO '/tmp/vecext_bench_1536.txt';
COPY b128 TO '/tmp/vecext_bench_128.bin' WITH (FORMAT binary);
COPY b768 TO '/tmp/vecext_bench_768.bin' WITH (FORMAT binary);
COPY b1536 TO '/tmp/vecext_bench_1536.bin' WITH (FORMAT binary);
