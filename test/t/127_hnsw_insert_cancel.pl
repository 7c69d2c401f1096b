# Inserts that do not come to their end: cancelled at many moments, in indexes
# with upper slots and with values of several pages.  What must always hold holds
# at once; vacuum frees what they left, upper slots of no node among it.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use Test::More;
use VecextTest;

my $node = vecext_node('main',
	conf => "autovacuum = off\nfsync = off\nwal_consistency_checking = 'all'\n");

# every node of m = 2 has upper slots with probability 1/2
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE item (id serial PRIMARY KEY, v vector(24), w vector(24), x vector(3000));
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops);
CREATE INDEX item_w ON item USING hnsw (w vector_l1_ops) WITH (m = 2);
CREATE INDEX item_x ON item USING hnsw (x vector_l1_ops);
SQL

sub findings
{
	my ($but) = @_;
	return $node->safe_psql('postgres', <<SQL);
SELECT c.* FROM (VALUES ('item_v'), ('item_w'), ('item_x')) i(name),
	vecext_index_check(i.name::regclass, true) c WHERE invariant <> ALL ('{$but}')
SQL
}

sub dead
{
	return $node->safe_psql('postgres', <<'SQL');
SELECT sum(value) FROM (VALUES ('item_v'), ('item_w'), ('item_x')) i(name),
	vecext_index_stats(i.name::regclass) s WHERE s.name = 'nodes dead'
SQL
}

srand(11);
my $cancelled = 0;
my $rounds = 12;
for my $round (1 .. $rounds)
{
	my $timeout = 5 + int(rand(150));
	my ($rc) = $node->psql('postgres', <<SQL);
SET statement_timeout = $timeout;
INSERT INTO item (v, w, x) SELECT random_vector(24, $round * 100000 + g),
	random_vector(24, $round * 100000 + g),
	CASE WHEN g % 5 = 0 THEN random_vector(3000, $round * 100000 + g) END
	FROM generate_series(1, 20000) g
SQL
	$cancelled++ if $rc != 0;
	is(findings('H9,H10'), '', "round $round: sound after $timeout ms of inserts");
	next if $round % 3 != 0;

	$node->safe_psql('postgres', 'VACUUM item');
	is(findings(''), '', "round $round: vacuum leaves nothing of them");
	is(dead(), '0', "round $round: no node is left dead");
}
is($cancelled, $rounds, 'all inserts were cancelled');

$node->safe_psql('postgres', <<'SQL');
INSERT INTO item (v, w) SELECT random_vector(24, g), random_vector(24, g) FROM generate_series(1, 500) g;
SQL
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM item');
is(findings(''), '', 'sound in the end');

$node->stop;
done_testing();
