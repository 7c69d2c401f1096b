# Recall of the index at the default settings, by type, metric and how the rows
# came into it.  Data and queries are seeded; thresholds are in one table.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $rows = 2000;
my $queries = 50;
my $k = 10;
my $where = '';

# Clustered data of 32 dimensions: 60 centres and noise around them, seeded.
my $floats = <<SQL;
(SELECT array_agg(c + 0.6 * e ORDER BY place) FROM
	unnest(random_vector(32, 1000 + i % 60)::real[]) WITH ORDINALITY a(c, place)
	JOIN unnest(random_vector(32, 5000 + i)::real[]) WITH ORDINALITY b(e, place) USING (place))
SQL
my $dense = "$floats\::vector(32)";
my $sparse = "(SELECT array_agg(CASE WHEN x > 0 THEN x ELSE 0 END ORDER BY p) FROM unnest($floats) WITH ORDINALITY u(x, p))::vector(32)::sparsevec(32)";
my $bits = "binary_quantize(random_vector(96, 1000 + i % 60) + random_vector(96, 5000 + i))::bit(96)";

# column, values, class, operator, least recall after build, insert, vacuum
my @table = (
	[ 'vector(32)',    $dense,  'vector_l2_ops',        '<->', 0.98, 0.98, 0.96 ],
	[ 'vector(32)',    $dense,  'vector_ip_ops',        '<#>', 0.98, 0.98, 0.94 ],
	[ 'vector(32)',    $dense,  'vector_cosine_ops',    '<=>', 0.98, 0.98, 0.96 ],
	[ 'vector(32)',    $dense,  'vector_l1_ops',        '<+>', 0.98, 0.98, 0.96 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_l2_ops',     '<->', 0.98, 0.98, 0.96 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_ip_ops',     '<#>', 0.98, 0.98, 0.94 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_cosine_ops', '<=>', 0.98, 0.98, 0.96 ],
	[ 'halfvec(32)',   "$dense\::halfvec(32)", 'halfvec_l1_ops',     '<+>', 0.98, 0.98, 0.96 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_l2_ops',     '<->', 0.98, 0.98, 0.96 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_ip_ops',     '<#>', 0.98, 0.98, 0.94 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_cosine_ops', '<=>', 0.98, 0.98, 0.96 ],
	[ 'sparsevec(32)', $sparse, 'sparsevec_l1_ops',     '<+>', 0.98, 0.98, 0.96 ],
	[ 'bit(96)',       $bits,   'bit_hamming_ops',      '<~>', 0.98, 0.98, 0.96 ],
	[ 'bit(96)',       $bits,   'bit_jaccard_ops',      '<%>', 0.97, 0.97, 0.95 ],
);

my $node = vecext_node('recall', conf => "autovacuum = off\njit = off\nfsync = off\n");

# part of the true neighbours' distances that the index reaches
sub recall
{
	my ($operator) = @_;
	my $nearest = "SELECT n, (SELECT array_agg(d) FROM (SELECT item.v $operator query.v AS d FROM item $where ORDER BY item.v $operator query.v LIMIT $k) x) AS d FROM query";
	return $node->safe_psql('postgres', <<SQL);
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
	my $recall = recall($operator);

	note("$name: $recall");
	cmp_ok($recall, '>=', $least, $name);
	return;
}

for my $row (@table)
{
	my ($column, $value, $class, $operator, @least) = @$row;

	$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v $column);
INSERT INTO item SELECT i, $value FROM generate_series(1, $rows) i;
CREATE TABLE query AS SELECT i AS n, $value AS v FROM generate_series(10001, 10000 + $queries) i;
CREATE INDEX item_v ON item USING hnsw (v $class);
SQL
	like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN SELECT id FROM item ORDER BY v $operator (SELECT v FROM query LIMIT 1) LIMIT $k"),
		qr/Index Scan using item_v/, "$class: the index is used");
	is_recall($operator, $least[0], "$class: recall after build");

	$node->safe_psql('postgres', <<SQL);
CREATE TABLE copy AS SELECT * FROM item ORDER BY id;
TRUNCATE item;
INSERT INTO item SELECT * FROM copy ORDER BY id;
DROP TABLE copy;
SQL
	is_recall($operator, $least[1], "$class: recall after insert");

	$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
	$node->safe_psql('postgres', 'VACUUM item');
	is_recall($operator, $least[2], "$class: recall after vacuum");
	$node->safe_psql('postgres', 'DROP TABLE item, query');
}
# Scans that go on past the first batch, in order: of 20,000 rows, 5 % pass.
my $many = 'random_vector(32, 1000 + i % 300) + random_vector(32, 5000 + i)';

$where = 'WHERE id % 20 = 3';
$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v vector(32));
INSERT INTO item SELECT i, $many FROM generate_series(1, 20000) i;
CREATE TABLE query AS SELECT i AS n, $many AS v FROM generate_series(30001, 30000 + $queries) i;
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops);
SQL
is_recall('<->', 0.94, 'rows that pass a filter');
$where = '';
$k = 100;
is_recall('<->', 0.92, 'more rows than ef_search');

$node->stop;
done_testing();
