#!/bin/sh
# Exact nearest-neighbor search over real data, in a throw-away server.
set -eu
TOP=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$TOP/test/setup.sh"
data=$TOP/test/data/siftsmall

milliseconds()
{
	date +%s%3N
}

# show SQL: the statement, then what it returns
show()
{
	say "$1" | sed 's/^/    /'
	say
	say "$1" | sql --pset=footer=off | sed '/./s/^/    /'
}

sql()
{
	psql -Xq -v ON_ERROR_STOP=1 -d demo "$@"
}

need_server demo
say "1. Building vecext for PostgreSQL $PG_MAJOR"
build_extension "pg$PG_MAJOR"

say "2. Starting a private server, which is removed at the end"
make_private_server
start_server
psql -Xqd postgres -c 'CREATE DATABASE demo'

say "3. Loading 10,000 SIFT image descriptors of 128 dimensions"
sql <<'SQL'
CREATE EXTENSION vecext;
CREATE TABLE categories (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO categories
    SELECT i, (ARRAY['animals', 'cars', 'faces', 'food', 'houses', 'maps', 'plants', 'ships'])[i]
    FROM generate_series(1, 8) i;
CREATE TABLE items (
    id          integer PRIMARY KEY,
    category_id integer NOT NULL,
    price       numeric(8,2) NOT NULL,
    embedding   vector(128) NOT NULL
);
SQL
perl "$TOP/test/vecs.pl" items "$data/siftsmall_base.fvecs" >"$WORK/items.tsv"
begun=$(milliseconds)
sql -c 'COPY items FROM STDIN' <"$WORK/items.tsv"
load_ms=$(($(milliseconds) - begun))
sql -c 'ALTER TABLE items ADD FOREIGN KEY (category_id) REFERENCES categories' -c 'ANALYZE'

say
say "The five items nearest to item 42:"
say
show "SELECT i.id, i.price, i.embedding <-> q.embedding AS distance
FROM items i, items q
WHERE q.id = 42
ORDER BY distance LIMIT 5;"

say "The same among plants and ships under 30, with a join and a filter:"
say
show "SELECT i.id, c.name, i.price, i.embedding <-> q.embedding AS distance
FROM items i JOIN categories c ON c.id = i.category_id, items q
WHERE q.id = 42 AND c.name IN ('plants', 'ships') AND i.price < 30
ORDER BY distance LIMIT 5;"

# 100 queries in one session, timed by the server's clock
{
	cat <<-'SQL'
		\pset format unaligned
		\pset tuples_only on
		PREPARE nearest(integer, vector) AS
		SELECT $1, id FROM items ORDER BY embedding <-> $2 LIMIT 10;
		SELECT clock_timestamp() AS begun \gset
	SQL
	perl "$TOP/test/vecs.pl" queries "$data/siftsmall_query.fvecs"
	cat <<-'SQL'
		SELECT 'ms ' || round(extract(epoch FROM clock_timestamp() - :'begun') * 1000 / 100, 2);
	SQL
} | sql >"$WORK/found"
query_ms=$(sed -n 's/^ms //p' "$WORK/found")
grep -v '^ms ' "$WORK/found" >"$WORK/ids"
recall=$(perl "$TOP/test/vecs.pl" recall "$data/siftsmall_base.fvecs" \
	"$data/siftsmall_query.fvecs" "$data/siftsmall_groundtruth.ivecs" "$WORK/ids")
simd=$(sql -Atc 'SELECT vecext_simd()')

say "Figures:"
say
say "    load            10,000 rows in $load_ms ms"
say "    exact search    $query_ms ms per query, 10 of 10,000 ($simd kernels)"
say "    recall@10       $recall over 100 queries, against the published truth"
say

# the lines the user is given are run first
cat >"$WORK/five.sql" <<'SQL'
CREATE EXTENSION vecext;
CREATE TABLE docs (id bigserial PRIMARY KEY, body text, embedding vector(3));
INSERT INTO docs (body, embedding) VALUES ('one', '[1,2,3]'), ('two', '[4,5,6]');
SELECT body, embedding <-> '[2,3,4]' AS l2 FROM docs ORDER BY l2 LIMIT 10;
SELECT body, embedding <=> '[2,3,4]' AS cosine FROM docs ORDER BY cosine LIMIT 10;
SQL
psql -Xqd postgres -v ON_ERROR_STOP=1 -f "$WORK/five.sql" >/dev/null

sudo=
[ "$(id -u)" -eq 0 ] || sudo='sudo '
say "In your own database: install,"
say
say "    ${sudo}make install PG_CONFIG=$PG_CONFIG${WITH_LLVM:+ with_llvm=$WITH_LLVM}"
if command -v pg_lsclusters >/dev/null 2>&1 && [ -z "$(pg_lsclusters -h)" ]
then
	say "    ${sudo}pg_createcluster $PG_MAJOR main --start    # there is no database yet"
fi
say
say "then in psql:"
say
sed 's/^/    /' "$WORK/five.sql"

if [ "$recall" != 1.0000 ]
then
	die "
Exact search must have recall 1: this is a bug."
fi
