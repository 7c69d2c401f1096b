# Recall of the list index by type, metric, codes and how the rows came into it;
# with all lists, and by a parallel build, it must be exact.  Data and queries are
# seeded; thresholds are in one table.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $rows = 2000;
my $queries = 50;
my $k = 10;
my $lists = 20;
my $probes = 6;

# Clustered data: 60 centres and noise around them, seeded.
sub floats
{
	my ($dim) = @_;
	return <<SQL;
(SELECT array_agg(c + 0.6 * e ORDER BY place) FROM
	unnest(random_vector($dim, 1000 + i % 60)::real[]) WITH ORDINALITY a(c, place)
	JOIN unnest(random_vector($dim, 5000 + i)::real[]) WITH ORDINALITY b(e, place) USING (place))
SQL
}
my $dense = floats(32) . '::vector(32)';
my $wide = floats(96) . '::vector(96)';
my $sparse = "(SELECT array_agg(CASE WHEN x > 0 THEN x ELSE 0 END ORDER BY p) FROM unnest("
	. floats(32) . ") WITH ORDINALITY u(x, p))::vector(32)::sparsevec(32)";
my $bits = "binary_quantize(random_vector(96, 1000 + i % 60) + random_vector(96, 5000 + i))::bit(96)";

# 60 clusters in 20 lists: neighbors lie in several.  Random bits have none.
# column, values, class, operator, options, least recall after build, inserts, vacuum
my @table = (
	[ 'vector(96)', $wide, 'vector_l2_ops',     '<->', '', 0.93, 0.90, 0.86 ],
	[ 'vector(96)', $wide, 'vector_ip_ops',     '<#>', '', 0.90, 0.85, 0.85 ],
	[ 'vector(96)', $wide, 'vector_cosine_ops', '<=>', '', 0.93, 0.90, 0.86 ],
	[ 'vector(96)', $wide, 'vector_l2_ops',     '<->', ', quantizer = int8', 0.93, 0.90, 0.86 ],
	[ 'vector(96)', $wide, 'vector_l2_ops',     '<->', ', refine = half', 0.93, 0.90, 0.86 ],
	[ 'vector(96)', $wide, 'vector_cosine_ops', '<=>', ', refine = int8', 0.93, 0.90, 0.86 ],
	[ 'vector(96)', $wide, 'vector_l2_ops',     '<->', ', refine = heap', 0.93, 0.90, 0.86 ],
	[ 'vector(32)',    $dense,  'vector_l2_ops',        '<->', '', 0.93, 0.90, 0.86 ],
	[ 'vector(32)',    $dense,  'vector_l1_ops',        '<+>', '', 0.93, 0.90, 0.86 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_l2_ops',     '<->', '', 0.93, 0.90, 0.86 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_ip_ops',     '<#>', '', 0.90, 0.85, 0.85 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_cosine_ops', '<=>', '', 0.93, 0.90, 0.86 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_l1_ops',     '<+>', '', 0.93, 0.90, 0.86 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_l2_ops',     '<->', '', 0.92, 0.90, 0.85 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_ip_ops',     '<#>', '', 0.85, 0.85, 0.77 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_cosine_ops', '<=>', '', 0.92, 0.90, 0.85 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_l1_ops',     '<+>', '', 0.92, 0.90, 0.85 ],
	[ 'bit(96)',       $bits,   'bit_hamming_ops',      '<~>', '', 0.84, 0.84, 0.80 ],
	[ 'bit(96)',       $bits,   'bit_jaccard_ops',      '<%>', '', 0.80, 0.80, 0.72 ],
);

my $node = vecext_node('recall', conf => "autovacuum = off\njit = off\nfsync = off\nmin_parallel_table_scan_size = 0\n");

# part of the true neighbours' distances that the index reaches
sub recall
{
	my ($operator, $lists_read) = @_;
	my $nearest = "SELECT n, (SELECT array_agg(d) FROM (SELECT item.v $operator query.v AS d FROM item ORDER BY item.v $operator query.v LIMIT $k) x) AS d FROM query";
	return $node->safe_psql('postgres', <<SQL);
SET ivfflat.probes = $lists_read;
SET enable_indexscan = off;
CREATE TEMP TABLE exact AS $nearest;
SET enable_indexscan = on;
SET enable_seqscan = off;
CREATE TEMP TABLE found AS $nearest;
SELECT round(avg((SELECT count(*) FROM unnest(f.d) x WHERE x <= e.d[$k]))::numeric / $k, 4)
FROM exact e JOIN found f USING (n);
SQL
}

sub is_recall
{
	my ($operator, $least, $name) = @_;
	my $recall = recall($operator, $probes);

	note("$name: $recall");
	cmp_ok($recall, '>=', $least, $name);
	is(recall($operator, 32768), '1.0000', "$name: exact with all lists");
	return;
}

for my $row (@table)
{
	my ($column, $value, $class, $operator, $options, @least) = @$row;
	my $name = "$class$options";

	$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v $column);
INSERT INTO item SELECT i, $value FROM generate_series(1, $rows) i;
CREATE TABLE query AS SELECT i AS n, $value AS v FROM generate_series(10001, 10000 + $queries) i;
CREATE INDEX item_v ON item USING ivfflat (v $class) WITH (lists = $lists$options);
SQL
	like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN SELECT id FROM item ORDER BY v $operator (SELECT v FROM query LIMIT 1) LIMIT $k"),
		qr/Index Scan using item_v/, "$name: the index is used");
	is_recall($operator, $least[0], "$name: recall after build");

	# lists of the first half take the second
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE copy AS SELECT * FROM item ORDER BY id;
DELETE FROM item WHERE id > $rows / 2;
VACUUM item;
REINDEX INDEX item_v;
INSERT INTO item SELECT * FROM copy WHERE id > $rows / 2 ORDER BY id;
DROP TABLE copy;
SQL
	is_recall($operator, $least[1], "$name: recall after insert");

	$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
	$node->safe_psql('postgres', 'VACUUM item');
	is_recall($operator, $least[2], "$name: recall after vacuum");

	$node->safe_psql('postgres', <<SQL);
ALTER TABLE item SET (parallel_workers = 2);
SET max_parallel_maintenance_workers = 2;
SET client_min_messages = error;
REINDEX INDEX item_v;
SQL
	is_recall($operator, $least[2], "$name: recall after a parallel build");
	$node->safe_psql('postgres', 'DROP TABLE item, query');
}

# The same lists whoever trains: found by probing one, and by their sizes.  Workers
# may come when training is over, on a machine that is busy: so they may try again.
$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v vector(32)) WITH (parallel_workers = 2);
INSERT INTO item SELECT i, random_vector(32, i % 200) + random_vector(32, 9000 + i) FROM generate_series(1, 6000) i;
SQL
my %lists;
for my $workers (0, 1, 2)
{
	my $pieces = 0;
	for (my $try = 0; $pieces == 0 && $try < ($workers == 0 ? 1 : 10); $try++)
	{
		my ($rc, $out, $err) = $node->psql('postgres', <<SQL);
SET client_min_messages = debug1;
SET max_parallel_maintenance_workers = $workers;
DROP INDEX IF EXISTS item_v;
CREATE INDEX item_v ON item USING ivfflat (v vector_l2_ops) WITH (lists = 300);
SQL
		is($rc, 0, "$workers workers: built") or diag($err);
		$pieces += $1 if $err =~ /ivfflat training: (\d+) pieces by parallel workers/;
	}
	cmp_ok($pieces, $workers == 0 ? '==' : '>', 0, "$workers workers: they did $pieces pieces of training");
	$lists{$workers} = $node->safe_psql('postgres', <<SQL);
SET enable_seqscan = off; SET vecext.enable_topk = off; SET ivfflat.probes = 1; SET ivfflat.iterative_scan = off;
SELECT i, array_agg(id ORDER BY id) FROM generate_series(1, 50) i,
	LATERAL (SELECT id FROM item ORDER BY v <-> random_vector(32, 9000 + i) LIMIT 1000) s GROUP BY i ORDER BY i;
SQL
}
is($lists{$_}, $lists{0}, "$_ workers: the same lists") for 1, 2;

$node->stop;
done_testing();
