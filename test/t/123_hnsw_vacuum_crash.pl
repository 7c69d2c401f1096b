# Vacuum that does not come to its end: kill -9 and cancel at many moments.  What
# must always hold holds at once (H1 to H8, every row once); the next vacuum
# finishes the work.  A standby replays all of it, checked page by page.
use strict;
use warnings FATAL => 'all';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecextTest;

my $node = vecext_node('primary',
	init => [ allows_streaming => 1 ],
	conf => "autovacuum = off\nfsync = off\ncheckpoint_timeout = 1h\n"
	  . "wal_consistency_checking = 'all'\nmax_wal_size = 4GB\nwal_keep_size = 2GB\n");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

my $rows = 6000;
$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id serial PRIMARY KEY, v vector(40), w vector(2500), k int DEFAULT 5 * random());
INSERT INTO item (v, w) SELECT random_vector(40, g % ($rows - 500)),
	CASE WHEN g % 20 = 0 THEN random_vector(2500, g % 1000) END
	FROM generate_series(1, $rows) g;
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops, k);
CREATE INDEX item_w ON item USING hnsw (w vector_l1_ops);
SQL

# what is wrong in either index, but for the invariants a crash may break
sub findings
{
	my ($node, $but) = @_;
	return $node->safe_psql('postgres', <<SQL);
SELECT c.* FROM (VALUES ('item_v'), ('item_w')) i(name),
	vecext_index_check(i.name::regclass, true) c WHERE invariant <> ALL ('{$but}')
SQL
}

sub dead
{
	return $node->safe_psql('postgres', <<'SQL');
SELECT sum(value) FROM (VALUES ('item_v'), ('item_w')) i(name),
	vecext_index_stats(i.name::regclass) s WHERE s.name = 'nodes dead'
SQL
}

sub replace_part
{
	my ($round) = @_;
	$node->safe_psql('postgres', <<SQL);
DELETE FROM item WHERE id % 4 = $round % 4;
UPDATE item SET k = k + 1 WHERE id % 7 = $round;
INSERT INTO item (v, w) SELECT random_vector(40, 10000 * $round + g),
	CASE WHEN g % 20 = 0 THEN random_vector(2500, 10000 * $round + g) END
	FROM generate_series(1, $rows / 8) g;
SQL
}

my $interrupted = 0;
for my $round (1 .. 4)
{
	replace_part($round);
	my ($out, $err) = ('', '');
	my $vacuum = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'VACUUM item' ],
		'>', \$out, '2>', \$err);
	usleep(25_000 * $round * $round);
	$node->stop('immediate');
	$interrupted++ unless IPC::Run::finish($vacuum);
	$node->start;
	is(findings($node, 'H9,H10'), '', "round $round: sound after a crash");
	$node->safe_psql('postgres', 'VACUUM item');
	is(findings($node, ''), '', "round $round: the next vacuum finishes the work");
	is(dead(), '0', "round $round: no node is left dead");
}
cmp_ok($interrupted, '>', 0, "$interrupted of 4 vacuums were interrupted");

my $cancelled = 0;
for my $round (5 .. 8)
{
	replace_part($round);
	my $timeout = 20 * ($round - 4) * ($round - 4);
	my ($rc, $out, $err) =
	  $node->psql('postgres', "SET statement_timeout = $timeout; VACUUM item");
	$cancelled++ if $rc != 0;
	is(findings($node, 'H9,H10'), '', "round $round: sound after a cancel");
	$node->safe_psql('postgres', 'VACUUM item');
	is(findings($node, ''), '', "round $round: the next vacuum finishes the work");
	is(dead(), '0', "round $round: no node is left dead");
}
cmp_ok($cancelled, '>', 0, "$cancelled of 4 vacuums were cancelled");

# the standby has compared every page it replayed
$node->wait_for_catchup($standby);
is(findings($standby, ''), '', 'the standby is sound');
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC/, 'and consistent');
$standby->promote;
$standby->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
$standby->safe_psql('postgres', 'VACUUM item');
is(findings($standby, ''), '', 'promoted, it vacuums by itself');

$standby->stop;
$node->stop;
done_testing();
