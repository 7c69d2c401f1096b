# Builds: serial and by many workers, in little memory, without shared memory,
# cancelled.  After each the index is sound and has every row, or is gone.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use VecextTest;

my $rows = 4000;
my $node = vecext_node('build', conf => <<CONF);
autovacuum = off
fsync = off
max_worker_processes = 24
max_parallel_workers = 16
min_parallel_table_scan_size = 0
log_min_messages = debug1
CONF

# Clusters, so that there are neighbours; each tenth value is one of 20, each
# hundredth NULL or without a direction.
$node->safe_psql('postgres', <<SQL);
CREATE FUNCTION value(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE RETURN
	CASE i % 100 WHEN 7 THEN NULL WHEN 8 THEN array_fill(0::real, ARRAY[dim])::vector
	ELSE random_vector(dim, 1000 + i % 60) +
		random_vector(dim, CASE WHEN i % 10 = 1 THEN i % 20 ELSE 5000 + i END) END;
CREATE TABLE compact AS SELECT i AS id, value(i, 48)::vector(48) AS v FROM generate_series(1, $rows) i;
CREATE TABLE exact AS SELECT i AS id, value(i, 48)::vector(48) AS v FROM generate_series(1, $rows) i;
CREATE TABLE long AS SELECT i AS id, value(i, 2500)::vector(2500) AS v FROM generate_series(1, 300) i;
CREATE TABLE none (id int, v vector(48));
SQL
my %class = (
	compact => 'vector_cosine_ops', exact => 'vector_l1_ops', long => 'vector_l1_ops',
	none => 'vector_l2_ops');

# settings and the statement that builds; $with may be empty
sub build_sql
{
	my ($table, $workers, $memory, $with) = @_;
	return <<SQL;
SET maintenance_work_mem = '$memory';
SET max_parallel_maintenance_workers = $workers;
ALTER TABLE $table SET (parallel_workers = $workers);
CREATE INDEX ${table}_idx ON $table USING hnsw (v $class{$table}) $with;
SQL
}

sub is_sound
{
	my ($table, $name) = @_;
	is($node->safe_psql('postgres',
			"SELECT invariant, detail FROM vecext_index_check('${table}_idx', true) LIMIT 5"),
		'', "$name: sound, and has every row");
}

# build, check and drop; returns what was said
sub build
{
	my ($table, $workers, $memory, $name, $with) = @_;
	my $from = -s $node->logfile;
	my ($out, $err);

	$node->psql('postgres', build_sql($table, $workers, $memory, $with // ''),
		stdout => \$out, stderr => \$err, on_error_stop => 1);
	unlike($err, qr/ERROR/, "$name: builds");
	is_sound($table, $name);
	my $log = slurp_file($node->logfile, $from);
	my $started = () = $log =~ /starting background worker process "parallel worker/g;
	is($started, $workers, "$name: $workers workers started") if $memory =~ /GB/;
	$node->safe_psql('postgres', "DROP INDEX ${table}_idx");
	return $err;
}

for my $table (qw(compact exact long none))
{
	for my $workers (0, 1, 3, 16)
	{
		build($table, $workers, '1GB', "$table, $workers workers");
	}
}

# too little memory: the rest goes in one by one
for my $memory (qw(1MB 2MB 3MB 5MB 8MB 64MB 100MB))
{
	for my $workers (0, 2)
	{
		my $said = build('compact', $workers, $memory, "compact, $memory, $workers workers");
		like($said, qr/no longer fits into maintenance_work_mem after \d+ tuples/, "$memory: told")
			if $memory =~ /^[12]MB$/;
		unlike($said, qr/no longer fits/, "$memory: enough") if $memory eq '100MB';
	}
	build('exact', 0, $memory, "exact, $memory");
}
like(build('compact', 3, '130MB', 'm = 100', 'WITH (m = 100, ef_construction = 200)'), qr/^(NOTICE|$)/,
	'many links');

# no WAL for the index, as under wal_level = minimal; and what has no other pages
$node->safe_psql('postgres', 'CREATE UNLOGGED TABLE unlogged AS SELECT * FROM compact');
$class{unlogged} = 'vector_l2_ops';
build('unlogged', 2, '1GB', 'unlogged, 2 workers');
is($node->safe_psql('postgres', build_sql('compact', 2, '1GB', '')
			=~ s/CREATE INDEX/CREATE INDEX CONCURRENTLY/r),
	'', 'concurrently');
is_sound('compact', 'concurrently');
$node->safe_psql('postgres', 'SET max_parallel_maintenance_workers = 2; REINDEX INDEX compact_idx');
is_sound('compact', 'REINDEX');

# what workers wrote is in WAL
$node->stop('immediate');
$node->start;
is_sound('compact', 'after a crash');
$node->safe_psql('postgres', 'DROP INDEX compact_idx');

# Cancelled at any moment.  The time a build takes is measured, so that some of
# the cancels meet each phase.
for my $workers (0, 2)
{
	my $start = time;
	build('compact', $workers, '1GB', "to be cancelled, $workers workers");
	my $whole = 1000 * (time - $start);
	my $cancelled = 0;
	for my $part (1 .. 12)
	{
		my $timeout = int($whole * $part / 14) + 1;
		my ($out, $err);
		$node->psql('postgres', build_sql('compact', $workers, '1GB', '')
				=~ s/CREATE INDEX/SET statement_timeout = $timeout; CREATE INDEX/r,
			stdout => \$out, stderr => \$err);
		if ($err =~ /canceling statement due to statement timeout/) { $cancelled++; }
		elsif ($err ne '') { fail("cancelled after $timeout ms: $err"); }
		$node->safe_psql('postgres', 'DROP INDEX IF EXISTS compact_idx');
	}
	cmp_ok($cancelled, '>', 2, "$workers workers: $cancelled builds cancelled");
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'"),
		'no worker is left');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0',
		'no temporary file is left');
	build('compact', $workers, '1GB', "after cancels, $workers workers");
}

# Shared memory that cannot be had: files of at most 24 MB, those of dynamic
# shared memory among them, for the server and all it starts from here on.
SKIP:
{
	my $pid = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	my $limit = system("prlimit --pid $pid --fsize=25165824");
	skip "prlimit cannot limit the server's files", 6 if $limit != 0;
	my $said = build('compact', 2, '1024MB', 'no shared memory', 'WITH (m = 100, ef_construction = 200)');
	like($said, qr/NOTICE:  hnsw index is built without parallel workers/, 'says so');
	like($said, qr/needs \d+ MB of shared memory/, 'says how much');
	unlike($said, qr/no longer fits/, 'has all its memory');
}

$node->stop;
done_testing;
