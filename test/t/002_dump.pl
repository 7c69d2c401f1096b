# A dump of a database that uses vecext wherever an expression can stand loads
# elsewhere and dumps the same.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $node = vecext_node('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', 'CREATE EXTENSION vecext; ' . fill_types('types'));
$node->safe_psql('source', <<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop.items (
	id integer PRIMARY KEY,
	v vector(3) NOT NULL DEFAULT '[1,2,3]',
	h halfvec(3) DEFAULT '[1,2,3]'::vector::halfvec(3),
	s sparsevec(5) DEFAULT ARRAY[0, 1, 0, 2, 0]::sparsevec,
	many vector(2)[],
	unit vector(3) GENERATED ALWAYS AS (l2_normalize(v)) STORED,
	CHECK (v <-> '[0,0,0]' < 1000),
	CHECK (v > '[-100,0,0]')
);
INSERT INTO shop.items (id) VALUES (1);
INSERT INTO shop.items (id, v, many)
	SELECT i, random_vector(3, i), ARRAY['[1,2]', '[3,4]']::vector(2)[] FROM generate_series(2, 50) i;
CREATE UNIQUE INDEX items_v_idx ON shop.items (v, id);
CREATE INDEX items_h_idx ON shop.items (h);
CREATE INDEX items_s_idx ON shop.items (s DESC);
CREATE INDEX items_expr_idx ON shop.items ((v + v)) WHERE v <> '[0,0,0]';
CREATE VIEW shop.near AS
	SELECT id, v <-> '[1,1,1]' AS l2, v <#> '[1,1,1]' AS ip, v <=> '[1,1,1]' AS cosine,
		v <+> '[1,1,1]' AS l1, v::halfvec(3) AS half, v::real[] AS floats
	FROM shop.items ORDER BY v <-> '[1,1,1]';
CREATE MATERIALIZED VIEW shop.mean AS SELECT avg(v) AS v, sum(v) AS total FROM shop.items;
CREATE FUNCTION shop.nearest(vector) RETURNS integer LANGUAGE sql STABLE
	BEGIN ATOMIC SELECT id FROM shop.items ORDER BY v <-> $1 LIMIT 1; END;
CREATE DOMAIN shop.unit AS vector(3) CHECK (abs(vector_norm(VALUE) - 1) < 0.001);
SQL

sub dump_of
{
	my ($database) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '-d', $node->connstr($database) ]);
	die "pg_dump: $err" if $err;
	$out =~ s/^\\(?:un)?restrict .*\n//mg;    # a random word in each dump
	return $out;
}

my $before = dump_of('source');
like($before, qr/v public\.vector\(3\) DEFAULT '\[1,2,3\]'::public\.vector NOT NULL/,
	'the modifier and the default are in the dump');

# plain text through psql
$node->safe_psql('postgres', 'CREATE DATABASE plain');
append_to_file("$folder/plain.sql", $before);
$node->command_ok(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$folder/plain.sql" ],
	'the text loads');
ok(dump_of('plain') eq $before, 'and dumps the same');

# custom format, in parallel
$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/custom", '-d', $node->connstr('source') ],
	'dump in custom format');
$node->command_ok(
	[ 'pg_restore', '-j2', '-e', '-d', $node->connstr('custom'), "$folder/custom" ], 'restore');
ok(dump_of('custom') eq $before, 'and it dumps the same');

for my $database (qw(plain custom))
{
	is( $node->safe_psql($database, "SELECT shop.nearest('[1,2,3]')"),
		'1', "$database: the function finds the nearest");
	is( $node->safe_psql($database, <<'SQL'), "1", "$database: the btree index finds a row");
SET enable_seqscan = off;
SELECT count(*) FROM shop.items WHERE v = '[1,2,3]';
SQL
}

# bits, not only text
for my $database (qw(source plain custom))
{
	$node->safe_psql($database, "COPY types TO '$folder/$database.bin' WITH (FORMAT binary)");
}
ok(slurp_file("$folder/source.bin") eq slurp_file("$folder/plain.bin"), 'plain: same bits');
ok(slurp_file("$folder/source.bin") eq slurp_file("$folder/custom.bin"), 'custom: same bits');

done_testing();
