#!/bin/sh
# Nearest-neighbor search over real data, exact and by index, in a throw-away server.
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

# measure NAME: 100 queries in one session, timed by the server's clock; sets
# query_ms, milliseconds per query, and recall against the published truth
measure()
{
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
	} | sql >"$WORK/$1.found"
	query_ms=$(sed -n 's/^ms //p' "$WORK/$1.found")
	grep -v '^ms ' "$WORK/$1.found" >"$WORK/$1.ids"
	recall=$(perl "$TOP/test/vecs.pl" recall "$data/siftsmall_base.fvecs" \
		"$data/siftsmall_query.fvecs" "$data/siftsmall_groundtruth.ivecs" "$WORK/$1.ids")
}

measure exact
exact_ms=$query_ms
exact_recall=$recall

say "4. Building an index"
say
say "    CREATE INDEX ON items USING hnsw (embedding vector_l2_ops);"
say
begun=$(milliseconds)
sql -c 'CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_l2_ops)'
build_ms=$(($(milliseconds) - begun))
plan=$(sql -Atc "EXPLAIN SELECT id FROM items
	ORDER BY embedding <-> (SELECT embedding FROM items WHERE id = 42) LIMIT 10")
case $plan in
	*items_hnsw*) ;;
	*) die "The planner does not use the index: this is a bug." ;;
esac
measure index
index_mb=$(sql -Atc "SELECT round(pg_relation_size('items_hnsw') / 1e6, 1)")
table_mb=$(sql -Atc "SELECT round(pg_table_size('items') / 1e6, 1)")
simd=$(sql -Atc 'SELECT vecext_simd()')

say "Figures, over 100 queries for the 10 nearest, $simd kernels:"
say
printf '    %-14s %10s %10s %12s %10s\n' '' 'ms/query' 'recall@10' 'made in ms' 'size MB' \
	'exact search' "$exact_ms" "$exact_recall" "$load_ms" "$table_mb" \
	'hnsw' "$query_ms" "$recall" "$build_ms" "$index_mb"
say
say "    Recall is against the published truth; \"made\" is loading the table of"
say "    10,000 rows and building the index."
say

# the lines the user is given are run first
cat >"$WORK/five.sql" <<'SQL'
CREATE EXTENSION vecext;
CREATE TABLE docs (id bigserial PRIMARY KEY, body text, embedding vector(3));
INSERT INTO docs (body, embedding) VALUES ('one', '[1,2,3]'), ('two', '[4,5,6]');
CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops);
SELECT body, embedding <-> '[2,3,4]' AS l2 FROM docs ORDER BY l2 LIMIT 10;
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

if [ "$exact_recall" != 1.0000 ]
then
	die "
Exact search must have recall 1: this is a bug."
fi
