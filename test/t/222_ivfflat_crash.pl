# Crashes, cancels and a standby, while rows come and go and vacuum writes lists
# anew: after each, every invariant holds and every row is there once.
# VECEXT_LONG=1: more crashes.
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
	  . "wal_consistency_checking = 'all'\nmax_wal_size = 4GB\nwal_keep_size = 2GB\n"
	  . "max_standby_streaming_delay = -1\n");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# codes on list pages; on pages of their own; none
my @table = ([ 'item', 'vector(40)', 'vector_l2_ops', '<->', 'random_vector(40, %s)' ],
	[ 'large', 'vector(2200)', 'vector_cosine_ops', '<=>', 'random_vector(2200, %s)' ],
	[ 'sparse', 'sparsevec(60)', 'sparsevec_l2_ops', '<->', 'random_vector(60, %s)::sparsevec' ]);
for my $table (@table)
{
	my ($name, $type, $class) = @$table;
	# filter columns, but for one
	my $filters = $name eq 'large' ? '' : ', k, t';
	$node->safe_psql('postgres', "CREATE TABLE $name (id serial PRIMARY KEY, v $type,
		k int DEFAULT 10 * random(), t text DEFAULT md5(random()::text));
		CREATE INDEX ${name}_v ON $name USING ivfflat (v $class$filters) WITH (lists = 12)");
}

# every row once, and nothing wrong
sub sound
{
	my ($node, $when) = @_;
	for my $table (@table)
	{
		my ($name, $type, $class, $operator) = @$table;
		is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${name}_v', true)"),
			'', "$when: ${name}_v keeps its invariants");
		is($node->safe_psql('postgres', <<SQL), '0|0|0', "$when: $name has every row once");
SET enable_seqscan = off; SET enable_sort = off; SET vecext.enable_topk = off;
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM $name) - count(*),
	(SELECT count(*) FROM $name WHERE k + 0 = 3) - (SELECT count(*) FROM (SELECT id FROM $name WHERE k = 3
		ORDER BY v $operator (SELECT v FROM $name ORDER BY id LIMIT 1)) s) FROM
	(SELECT id FROM $name ORDER BY v $operator (SELECT v FROM $name ORDER BY id LIMIT 1)) s;
SQL
	}
	return;
}

sub insert
{
	my ($name, $value, $from, $n) = @_;
	return "INSERT INTO $name (v) SELECT " . sprintf($value, "$from + i")
	  . " FROM generate_series(1, $n) i;\n";
}

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

# kill -9 under inserts, deletes and vacuums
my $script = $node->basedir . '/insert.sql';
append_to_file($script, "\\set s random(1, 100000)\n\\set n random(1, 20)\n"
	. insert('item', $table[0][4], ':s', ':n') . insert('large', $table[1][4], ':s', 1)
	. insert('sparse', $table[2][4], ':s', ':n')
	. "UPDATE item SET k = k + 1 WHERE id % 20 = :n - 1 AND random() < 0.1;\n"
	. "UPDATE sparse SET t = NULL WHERE id % 20 = :n - 1 AND random() < 0.1;\n"
	. "DELETE FROM item WHERE id % 20 = :n AND random() < 0.2;\n"
	. "DELETE FROM sparse WHERE id % 20 = :n AND random() < 0.2;\n"
	. "DELETE FROM large WHERE id % 20 = :n AND random() < 0.1;\n");
my $vacuum = $node->basedir . '/vacuum.sql';
append_to_file($vacuum, "VACUUM item;\nVACUUM large;\nVACUUM sparse;\n");
# L6: an address may be used again between two looks of one check
my $read = $node->basedir . '/read.sql';
append_to_file($read, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
	. "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL vecext.enable_topk = off;\n"
	. "DO \$\$ DECLARE found int; different int; there int; wrong text; BEGIN\n"
	. join('', map { "SELECT count(*), count(DISTINCT id) INTO found, different FROM
	(SELECT id FROM $_->[0] ORDER BY v $_->[3] " . sprintf($_->[4], 1) . ") s;
SELECT count(*) INTO there FROM $_->[0];
IF found <> there OR found <> different THEN
	RAISE '$_->[0]: % rows, % different, of %', found, different, there;
END IF;
SELECT string_agg(c::text, ' ') INTO wrong FROM vecext_index_check('$_->[0]_v', true) c
	WHERE invariant <> 'L6';
IF wrong IS NOT NULL THEN RAISE '$_->[0]: %', wrong; END IF;\n" } @table)
	. "END \$\$;\nCOMMIT;\n");
my $rows = 0;
for my $round (1 .. ($ENV{VECEXT_LONG} ? 16 : 3))
{
	my @case = ([ $script, 3 ], [ $vacuum, 1 ], [ $read, 2 ]);
	my @bench = map { my $case = $_; IPC::Run::start(
		[ 'pgbench', '--no-vacuum', '--client=' . $case->[1], "--random-seed=$round", '--time=60',
			"--file=$case->[0]", $node->connstr('postgres') ],
		'>', \$case->[2], '2>', \$case->[3]) } @case;
	usleep(700_000 + 137_000 * $round);
	$node->safe_psql('postgres', 'CHECKPOINT') if $round == 2;
	ok(restart_after_kill(), "round $round: restarts after kill -9");
	IPC::Run::finish($_) for @bench;
	is(join("\n", map { grep { /ERROR:/ } split /\n/, $_->[3] // '' } @case), '',
		"round $round: no error or finding before, no row lost or seen twice");
	sound($node, "round $round");
	my $now = $node->safe_psql('postgres', 'SELECT max(id) FROM item');
	cmp_ok($now, '>', $rows, "round $round: rows up to $now");
	$rows = $now;
}

# rounds of rows that make vacuum write many lists anew; it is stopped on the way
sub replace_part
{
	my ($round) = @_;
	for my $table (@table)
	{
		my ($name, $n) = ($table->[0], $table->[0] eq 'large' ? 40 : 1500);
		$node->safe_psql('postgres', "DELETE FROM $name WHERE id % 3 = $round % 3;"
			. insert($name, $table->[4], 100000 * $round, $n));
	}
	return;
}

my $stopped = 0;
for my $round (1 .. 6)
{
	replace_part($round);
	# crashes first, then cancels
	if ($round <= 3)
	{
		my ($out, $err) = ('', '');
		my $run = IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'VACUUM item', '-c',
				'VACUUM sparse', '-c', 'VACUUM large' ], '>', \$out, '2>', \$err);
		usleep(30_000 * $round * $round);
		$node->stop('immediate');
		$stopped++ unless IPC::Run::finish($run);
		$node->start;
	}
	else
	{
		for my $table (@table)
		{
			my $timeout = 10 * ($round - 3) * ($round - 3);
			my ($rc) = $node->psql('postgres',
				"SET statement_timeout = $timeout; VACUUM $table->[0]");
			$stopped++ if $rc != 0;
		}
	}
	sound($node, "vacuum $round that was stopped");
	$node->safe_psql('postgres', "VACUUM $_->[0]") for @table;
}
cmp_ok($stopped, '>', 1, "$stopped vacuums were stopped");
sound($node, 'after vacuum');

# on the standby, a scan whose pages are used again ends with 40001, or is right
$node->safe_psql('postgres', "CREATE TABLE moving (id serial PRIMARY KEY, v vector(40));
	CREATE INDEX moving_v ON moving USING ivfflat (v vector_l2_ops) WITH (lists = 12);"
	. insert('moving', $table[0][4], 0, 3000));
$node->wait_for_catchup($standby);
my $old = $standby->background_psql('postgres', on_error_stop => 0);
$old->query("\\set VERBOSITY sqlstate");
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$old->query_safe('SET enable_seqscan = off; SET enable_sort = off; SET vecext.enable_topk = off;
	SET work_mem = 64');
$old->query_safe("DECLARE c CURSOR FOR SELECT id FROM moving ORDER BY v <-> random_vector(40, 1)");
my @seen = split /\n/, $old->query_safe('FETCH 100 FROM c');
$node->safe_psql('postgres', 'VACUUM moving');
$node->safe_psql('postgres', 'CREATE TABLE later ()');
$node->safe_psql('postgres', 'VACUUM moving');
$node->safe_psql('postgres', insert('moving', $table[0][4], 5000, 1000));
$node->wait_for_catchup($standby);
my $rest = $old->query('FETCH ALL FROM c');
if ($rest =~ /^\d/)
{
	push @seen, split /\n/, $rest;
	my %times = map { $_ => 1 } @seen;
	is(scalar(@seen) . '|' . scalar(keys %times), '3000|3000', 'an old scan of the standby is right');
}
else
{
	like($old->{stderr}, qr/40001/, 'an old scan of the standby is told of the conflict');
}
$old->quit;

# the standby has compared every page it replayed
$node->wait_for_catchup($standby);
sound($standby, 'standby');
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC/, 'the standby is consistent');
$standby->promote;
$standby->safe_psql('postgres', "DELETE FROM item WHERE id % 3 = 0; DELETE FROM large WHERE id % 3 = 0");
$standby->safe_psql('postgres', 'VACUUM item');
$standby->safe_psql('postgres', 'VACUUM large');
$standby->safe_psql('postgres', insert($_->[0], $_->[4], 777000, 50)) for @table;
sound($standby, 'promoted');

$standby->stop;
$node->stop;
done_testing();
