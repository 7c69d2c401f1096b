# Turnover: rows are deleted, vacuumed and replaced until all have been
# exchanged several times.  Recall stays near that of a fresh index, the size
# near that of the first one.  VECEXT_LONG=1 takes ten turnovers of more rows.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $long = $ENV{VECEXT_LONG};
my $rows = $long ? 10000 : 2000;
my $turnovers = $long ? 10 : 3;
my $parts = $long ? 10 : 4;

my $node = vecext_node('main', conf => "autovacuum = off\nfsync = off\n");

# clustered, as embeddings are: one of 40 centers and a third of another vector
sub vectors
{
	my ($from, $to, $cast) = @_;
	return "SELECT g, (random_vector(32, g % 40)
		+ random_vector(32, 100000 + g) * array_fill(0.33::real, ARRAY[32])::vector)$cast
		FROM generate_series($from, $to) g";
}

sub recall
{
	my ($index) = @_;
	return $node->safe_psql('postgres',
		"SET hnsw.iterative_scan = off; SET hnsw.ef_search = 20;
		 SELECT vecext_recall('$index', 300, 10)");
}

sub stat_of
{
	my ($index, $name) = @_;
	return $node->safe_psql('postgres',
		"SELECT value FROM vecext_index_stats('$index') WHERE name = '$name'");
}

# compact and exact codes, and the recall that may be lost
my $next = $rows + 1;
for my $case (
	[ 'compact', 'vector(32)', '', 'vector_l2_ops', 0.01 ],
	[ 'cosine', 'halfvec(32)', '::halfvec', 'halfvec_cosine_ops', 0.01 ],
	[ 'exact', 'vector(32)', '', 'vector_l1_ops', 0.01 ])
{
	my ($name, $type, $cast, $class, $loss) = @$case;
	my $index = "${name}_v";
	$node->safe_psql('postgres',
		"CREATE TABLE $name (id int PRIMARY KEY, v $type);
		 INSERT INTO $name " . vectors(1, $rows, $cast) . ";
		 CREATE INDEX $index ON $name USING hnsw (v $class);");
	my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('$index')");
	my $first = recall($index);
	my $findings = '';

	$next = $rows + 1;
	for my $turnover (1 .. $turnovers)
	{
		for my $part (0 .. $parts - 1)
		{
			my $n = $rows / $parts;
			my $last = $next + $n - 1;

			# the oldest in odd turnovers, rows from everywhere in even ones
			my $which = $turnover % 2
			  ? "id IN (SELECT id FROM $name ORDER BY id LIMIT $n)"
			  : "id IN (SELECT id FROM $name ORDER BY id * 7919 % 10007, id LIMIT $n)";
			$node->safe_psql('postgres', "DELETE FROM $name WHERE $which");
			$node->safe_psql('postgres', "VACUUM $name");
			$node->safe_psql('postgres', "INSERT INTO $name " . vectors($next, $last, $cast));
			$next = $last + 1;
		}
		$findings .= $node->safe_psql('postgres',
			"SELECT * FROM vecext_index_check('$index', true)");
	}
	is($findings, '', "$name: sound after each of $turnovers turnovers");
	is(stat_of($index, 'rows'), $rows, "$name: every row, and no other");

	# deleting without inserting, in small steps
	my $after = recall($index);
	my $grown = $node->safe_psql('postgres', "SELECT pg_relation_size('$index')");
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	my $fresh = recall($index);
	note("$name: recall $first, $after after turnovers, $fresh fresh; size $size, $grown");
	cmp_ok($after, '>=', $fresh - $loss, "$name: recall stays within $loss of a fresh index");
	cmp_ok($grown, '<=', 1.5 * $size, "$name: size stays within 1.5 times the first");

	for my $step (0 .. 9)
	{
		$node->safe_psql('postgres', "DELETE FROM $name WHERE id % 20 = $step; ");
		$node->safe_psql('postgres', "VACUUM $name");
	}
	my $half = recall($index);
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('$index', true)"),
		'', "$name: sound with half of the rows");
	is(stat_of($index, 'nodes dead'), 0, "$name: no dead node is left");
	$node->safe_psql('postgres', "REINDEX INDEX $index");
	$fresh = recall($index);
	note("$name: recall $half with half of the rows, $fresh fresh");
	cmp_ok($half, '>=', $fresh - 2 * $loss, "$name: half of the rows: recall of a fresh index");
}

# a backend that was there before the turnover has a copy of the entry slot
my $old = $node->background_psql('postgres');
my $count = "SET enable_seqscan = off; SET hnsw.iterative_scan = off;
	SELECT count(*) FROM (SELECT 1 FROM compact ORDER BY v <-> random_vector(32, 5) LIMIT 20) s";
is($old->query_safe($count), 20, 'a search before a turnover');
for my $part (0 .. 1)
{
	$node->safe_psql('postgres', "DELETE FROM compact WHERE id < $next AND id % 2 = $part");
	$node->safe_psql('postgres', 'VACUUM compact');
	$node->safe_psql('postgres', 'INSERT INTO compact ' . vectors($next, $next + $rows, ''))
	  if $part == 0;
}
is($old->query_safe($count), 20, 'and one after it');
$old->quit;

# all rows go, and come back
$node->safe_psql('postgres', 'DELETE FROM compact');
$node->safe_psql('postgres', 'VACUUM compact');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('compact_v', true)"),
	'', 'sound without rows');
my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('compact_v')");
$node->safe_psql('postgres', 'INSERT INTO compact ' . vectors(1, $rows / 2, ''));
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('compact_v', true)"),
	'', 'sound with rows again');
is($node->safe_psql('postgres', "SELECT pg_relation_size('compact_v')"),
	$size, 'they fit where the old ones were');
cmp_ok(recall('compact_v'), '>=', 0.9, 'and are found');

# more clusters than one entry slot has links: others follow, and are repaired
my $clusters = "SELECT g, random_vector(24, g % 350) * array_fill(9::real, ARRAY[24])::vector
	+ random_vector(24, 100000 + g) * array_fill(0.2::real, ARRAY[24])::vector";
$node->safe_psql('postgres',
	"CREATE TABLE clusters (id int PRIMARY KEY, v vector(24));
	 INSERT INTO clusters $clusters FROM generate_series(1, 14000) g;
	 CREATE INDEX clusters_v ON clusters USING hnsw (v vector_l2_ops) WITH (m = 8);");
cmp_ok(stat_of('clusters_v', 'bytes entry'), '>', 8192, 'entry slots for many clusters');
my $found = recall('clusters_v');
cmp_ok($found, '>=', 0.95, "rows of many clusters are found ($found)");
$node->safe_psql('postgres', 'DELETE FROM clusters WHERE id % 7 < 4; ');
$node->safe_psql('postgres', 'VACUUM clusters');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('clusters_v', true)"),
	'', 'sound after their entries died');
my $left = recall('clusters_v');
cmp_ok($left, '>=', 0.95, "and what is left of them ($left)");

# vacuum in rounds: more nodes than there is memory for bitmaps; dead nodes in
# each round, their neighbors in all
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE many (id int, v vector(3));
INSERT INTO many SELECT i, ARRAY[i % 271, i / 271, i % 7]::vector(3) FROM generate_series(1, 70000) i;
CREATE INDEX many_v ON many USING hnsw (v vector_l1_ops) WITH (m = 4, ef_construction = 10);
SQL
my $whole = recall('many_v');
$node->safe_psql('postgres', 'DELETE FROM many WHERE id % 50 = 0 OR id BETWEEN 30000 AND 30300');
my ($done, undef, $told) = $node->psql('postgres',
	"SET client_min_messages = debug1; SET maintenance_work_mem = '1MB'; VACUUM many");
is($done, 0, 'a vacuum with 1 MB');
is(scalar(() = $told =~ /vacuuming nodes \d+ to \d+ of index "many_v"/g), 2, 'in two rounds');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('many_v', true)"),
	'', 'sound after a vacuum in rounds');
is(stat_of('many_v', 'nodes dead'), 0, 'in rounds: no dead node is left');
cmp_ok(recall('many_v'), '>=', $whole - 0.05, "in rounds: rows are found as before ($whole)");
($done, undef, $told) = $node->psql('postgres',
	"SET client_min_messages = debug1; SET maintenance_work_mem = '1MB'; VACUUM many");
unlike($told, qr/vacuuming nodes/, 'and another one has nothing to do');

# ANALYZE does nothing
$node->safe_psql('postgres', "DELETE FROM compact WHERE id % 3 = 0");
$node->safe_psql('postgres', 'VACUUM compact');
my $before = stat_of('compact_v', 'nodes live');
$node->safe_psql('postgres', 'DELETE FROM compact WHERE id % 3 = 1');
$node->safe_psql('postgres', 'ANALYZE compact');
is(stat_of('compact_v', 'nodes live'), $before, 'ANALYZE changes nothing');

# parallel bulk deletion with several indexes
$node->safe_psql('postgres', <<'SQL');
SET max_parallel_maintenance_workers = 2;
SET min_parallel_index_scan_size = 0;
CREATE INDEX compact_l1 ON compact USING hnsw (v vector_l1_ops);
CREATE INDEX compact_ip ON compact USING hnsw (v vector_ip_ops);
SQL
my ($rc, $out, $err) = $node->psql('postgres', <<'SQL');
SET max_parallel_maintenance_workers = 2;
SET min_parallel_index_scan_size = 0;
DELETE FROM compact WHERE id % 5 = 0;
VACUUM (PARALLEL 2, VERBOSE) compact;
SQL
like($err, qr/launched \d+ parallel vacuum worker/, 'workers were launched');
for my $index (qw(compact_v compact_l1 compact_ip))
{
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('$index', true)"),
		'', "$index: sound after a parallel vacuum");
}

$node->stop;
done_testing();
