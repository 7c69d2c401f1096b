# Builds in every amount of memory and with every number of workers: sound,
# complete, as good as each other; the NOTICE names a setting that suffices; the
# progress has totals.  VECEXT_LONG=1 takes more of both.
use strict;
use warnings FATAL => 'all';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use VecextTest;

my $rows = $ENV{VECEXT_LONG} ? 5000 : 2000;
# WAL files of 1 MB, smaller than the limit on files below
my $node = vecext_node('build', init => [ extra => [ '--wal-segsize=1' ] ], conf => <<'CONF');
autovacuum = off
fsync = off
jit = off
min_parallel_table_scan_size = 0
max_worker_processes = 24
max_parallel_workers = 24
CONF

# clustered; some equal, some NULL, some without direction
my $value = <<SQL;
CASE WHEN g % 50 = 0 THEN NULL WHEN g % 50 = 1 THEN array_fill(0::real, ARRAY[64])::vector
	ELSE random_vector(64, g % 30) + random_vector(64, 1000 + g % 2800) * array_fill(0.4::real, ARRAY[64])::vector END
SQL
$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v vector(64), l vector(2100)) WITH (parallel_workers = 16);
INSERT INTO item SELECT g, $value, CASE WHEN g % 20 = 0 THEN random_vector(2100, g) END FROM generate_series(1, $rows) g;
CREATE TABLE query AS SELECT g AS n, random_vector(64, g % 30) + random_vector(64, 9000 + g) * array_fill(0.4::real, ARRAY[64])::vector AS v
	FROM generate_series(1, 40) g;
SQL

# builds; returns what psql said on stderr
sub build
{
	my ($memory, $workers, $column, $class, $with) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', <<SQL);
SET client_min_messages = debug1;
SET maintenance_work_mem = '$memory';
SET max_parallel_maintenance_workers = $workers;
DROP INDEX IF EXISTS item_x;
CREATE INDEX item_x ON item USING hnsw ($column $class) $with;
SQL
	is($rc, 0, "$class, $memory, $workers workers: built") or diag($err);
	return $err;
}

sub good
{
	my ($name, $column, $operator, $least) = @_;
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_x', true) WHERE invariant <> 'H10'"), '',
		"$name: sound");
	is($node->safe_psql('postgres', <<SQL), '0|0', "$name: every row once");
SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000;
WITH found AS MATERIALIZED (SELECT id FROM item ORDER BY $column $operator (SELECT $column FROM item WHERE id = 1240))
SELECT count(*) - count(DISTINCT id), (SELECT count($column) FROM item) - count(*) FROM found
SQL
	return if $column ne 'v';
	my $nearest = "SELECT n, array(SELECT item.v $operator query.v FROM item WHERE v IS NOT NULL AND vector_norm(v) > 0 ORDER BY item.v $operator query.v LIMIT 10) AS d FROM query";
	my $recall = $node->safe_psql('postgres', <<SQL);
SET enable_indexscan = off;
CREATE TEMP TABLE exact AS $nearest;
SET enable_indexscan = on; SET enable_seqscan = off;
CREATE TEMP TABLE found AS $nearest;
SELECT round(avg((SELECT count(*) FROM unnest(f.d) x WHERE x <= e.d[10])) / 10, 3) FROM exact e JOIN found f USING (n);
SQL
	cmp_ok($recall, '>=', $least, "$name: recall $recall");
	return;
}

for my $case (
	[ 'v', 'vector_l2_ops', '<->', '' ],
	[ 'v', 'vector_cosine_ops', '<=>', 'WITH (refine = int8)' ],
	[ 'l', 'vector_l1_ops', '<+>', '' ])
{
	my ($column, $class, $operator, $with) = @$case;
	my @runs = ([ '1MB', 2 ], [ '1500kB', 16 ], [ '3MB', 0 ], [ '64MB', 1 ], [ '2047GB', 0 ]);
	push @runs, [ '1MB', 0 ], [ '2MB', 1 ], [ '5MB', 3 ], [ '8MB', 0 ], [ '64MB', 0 ], [ '64MB', 16 ],
		[ '2047GB', 2 ] if $ENV{VECEXT_LONG};
	for my $run (@runs)
	{
		my ($memory, $workers) = @$run;
		my $err = build($memory, $workers, $column, $class, $with);
		good("$class, $memory, $workers workers", $column, $operator, 0.97);
		if ($err =~ /Increase maintenance_work_mem to (\d+ [kMG]B)/)
		{
			my $enough = $1;
			unlike(build($enough =~ s/ //r, $workers, $column, $class, $with), qr/no longer fits/,
				"$class, $memory, $workers workers: $enough is enough");
		}
		else
		{
			unlike($err, qr/NOTICE.*no longer fits/, "$class, $memory, $workers workers: all in memory");
		}
	}
}

# an empty table, and one whose rows are all NULL
$node->safe_psql('postgres', 'CREATE TABLE none (v vector(64)) WITH (parallel_workers = 4)');
for my $rows (0, 500)
{
	$node->safe_psql('postgres', "INSERT INTO none SELECT NULL FROM generate_series(1, $rows)");
	for my $workers (0, 4)
	{
		$node->safe_psql('postgres', "SET max_parallel_maintenance_workers = $workers; DROP INDEX IF EXISTS none_v; CREATE INDEX none_v ON none USING hnsw (v vector_l2_ops)");
		is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('none_v', true)"), '', "$rows NULL rows, $workers workers");
	}
}

# no shared memory: a NOTICE, and a serial build
$node->append_conf('postgresql.conf', "dynamic_shared_memory_type = posix\n");
$node->restart;
my ($postmaster) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
system_or_bail('prlimit', "--pid=$postmaster", '--fsize=2097152:');
my $err = build('64MB', 2, 'v', 'vector_l2_ops', '');
like($err, qr/built without parallel workers/, 'without shared memory: says so');
system_or_bail('prlimit', "--pid=$postmaster", '--fsize=unlimited:');
good('without shared memory', 'v', '<->', 0.97);

# progress, seen from another session
my $watch = $node->background_psql('postgres');
my $work = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', <<SQL ]);
SET max_parallel_maintenance_workers = 0; SET maintenance_work_mem = '1MB';
CREATE INDEX item_slow ON item USING hnsw (v vector_l2_ops) WITH (ef_construction = 400)
SQL
my %phase;
while ($work->pumpable)
{
	my $seen = $watch->query_safe(q{SELECT phase, tuples_done <= tuples_total, blocks_done <= blocks_total, tuples_total > 0 OR blocks_total > 0 FROM pg_stat_progress_create_index});
	$phase{ (split /\|/, $_)[0] }{$_}++ for split /\n/, $seen;
	last if keys %phase && $seen eq '';
	usleep(20_000);
}
IPC::Run::finish($work);
$watch->quit;
my @seen = sort keys %phase;
note("phases seen: @seen");
cmp_ok(scalar(grep { /building index: / } @seen), '>', 0, 'progress names phases');
is(scalar(grep { /\|f\|.\|t$|\|t\|f\|t$/ } map { keys %$_ } values %phase), 0, 'what is done never exceeds the total');

$node->stop;
done_testing();
