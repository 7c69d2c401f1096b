# kill -9 under concurrent inserts, updates of filter columns, deletes and vacuums:
# after each restart every row is in the index, exactly once and with its keys, and
# writing goes on.
use strict;
use warnings FATAL => 'all';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecextTest;

my $node = vecext_node('crash',
	conf => "autovacuum = off\nfsync = off\ncheckpoint_timeout = 30s\nfull_page_writes = on\n");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE item (id serial PRIMARY KEY, v vector(48), k int DEFAULT 10 * random(), t text DEFAULT md5(random()::text));
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops, k, t);
CREATE TABLE large (id serial PRIMARY KEY, v vector(2500), k int DEFAULT 10 * random());
CREATE INDEX large_v ON large USING hnsw (v vector_l1_ops, k);
SQL

my $script = $node->basedir . '/insert.sql';
append_to_file($script, <<'SQL');
\set s random(1, 3000)
\set n random(1, 20)
INSERT INTO item (v) SELECT random_vector(48, :s + i) FROM generate_series(1, :n) i;
INSERT INTO large (v) VALUES (random_vector(2500, :s));
DELETE FROM item WHERE id = ANY (ARRAY(SELECT id FROM item ORDER BY v <-> random_vector(48, :s) LIMIT 3));
UPDATE item SET k = nullif(k, :n) + 1 WHERE id % 20 = :n - 1 AND random() < 0.1;
UPDATE large SET k = k + 1 WHERE id % 20 = :n - 1 AND random() < 0.1;
DELETE FROM large WHERE id % 20 = :n AND random() < 0.1;
SQL
my $vacuum = $node->basedir . '/vacuum.sql';
append_to_file($vacuum, "VACUUM item;\nVACUUM large;\n\\sleep 50 ms\n");

sub restart_after_kill
{
	$node->kill9;
	# backends notice that their postmaster is gone a moment later
	for (1 .. 100)
	{
		return 1 if $node->start(fail_ok => 1);
		usleep(100_000);
		$node->stop('fast', fail_ok => 1);
	}
	return 0;
}

my $rows = 0;
for my $round (1 .. 3)
{
	my $out = '';
	my $err = '';
	my $bench = IPC::Run::start(
		[ 'pgbench', '--no-vacuum', '--client=4', '--jobs=2', "--random-seed=$round", '--time=60',
			"--file=$script\@9", "--file=$vacuum\@1", $node->connstr('postgres') ],
		'>', \$out, '2>', \$err);
	usleep(900_000 + 137_000 * $round);
	$node->safe_psql('postgres', 'CHECKPOINT') if $round == 2;
	ok(restart_after_kill(), "round $round: restarts after kill -9");
	IPC::Run::finish($bench);

	for my $case ([ 'item', '<->' ], [ 'large', '<+>' ])
	{
		my ($table, $operator) = @$case;
		# links may lead to what a vacuum was about to repair; nothing else may be wrong
		is($node->safe_psql('postgres', <<SQL), '', "round $round: ${table}_v keeps its invariants");
SELECT * FROM vecext_index_check('${table}_v', true) WHERE invariant NOT IN ('H9', 'H10');
SQL
		is($node->safe_psql('postgres', <<SQL), '0|0', "round $round: $table has every row once");
SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000;
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM $table) - count(*) FROM
	(SELECT id FROM $table ORDER BY v $operator (SELECT v FROM $table ORDER BY id LIMIT 1)) s;
SQL
		is($node->safe_psql('postgres', <<SQL), '0', "round $round: $table has its rows of a filter");
SET enable_seqscan = off; SET enable_sort = off;
SELECT (SELECT count(*) FROM $table WHERE k + 0 = 3) - count(*) FROM
	(SELECT id FROM $table WHERE k = 3 ORDER BY v $operator (SELECT v FROM $table ORDER BY id LIMIT 1)) s;
SQL
		my $found = $node->safe_psql('postgres', <<SQL);
SET enable_seqscan = off; SET hnsw.iterative_scan = off;
SELECT round(avg((SELECT x.d < 1e-4 FROM
	(SELECT t.v $operator o.v AS d FROM $table t ORDER BY t.v $operator o.v LIMIT 1) x)::int), 3)
FROM (SELECT v FROM $table ORDER BY id DESC LIMIT 200) o;
SQL
		cmp_ok($found, '>=', 0.95, "round $round: $table finds what was inserted ($found)");
	}
	for my $table ('item', 'large')
	{
		# a vacuum that finds no dead node repairs nothing
		$node->safe_psql('postgres', "DELETE FROM $table WHERE id = (SELECT max(id) FROM $table)");
		$node->safe_psql('postgres', "VACUUM $table");
		is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${table}_v', true)"),
			'', "round $round: vacuum repairs ${table}_v");
	}
	my $now = $node->safe_psql('postgres', 'SELECT count(*) FROM item');
	cmp_ok($now, '>', $rows, "round $round: $now rows");
	$rows = $now;
}

done_testing();
