# A full disk in build, insert and vacuum: an error that says so, an index that
# is as sound as before and goes on working, and no file left behind.
#
# The disk is full in two ways.  A limit on the size of files (prlimit, no right
# needed) meets every write of a file, temporary ones included.  A tablespace on
# a file system of 16 MB meets ENOSPC; it takes root to mount one, so check.sh
# does, and where it may not this part says NOT RUN.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecextAttack;
use VecextTest;

my $rows = 5000;

# WAL files of 1 MB, so that the limit does not meet them first
my $node = vecext_node('full',
	init => [ extra => [ '--wal-segsize=1' ] ],
	conf => "autovacuum = off\nfsync = off\nmin_parallel_table_scan_size = 0\n");
$node->safe_psql('postgres', <<SQL);
CREATE TABLE source AS SELECT g AS id, random_vector(48, g) AS v FROM generate_series(1, 3 * $rows) g;
CREATE TABLE item (id integer PRIMARY KEY, v vector(48));
INSERT INTO item SELECT * FROM source WHERE id <= $rows;
SQL

sub is_sound
{
	my ($index, $name) = @_;
	is($node->safe_psql('postgres',
			"SELECT * FROM vecext_index_check('$index', true) WHERE invariant NOT IN ('H9', 'H10')"),
		'', "$name: the index is sound");
	is($node->safe_psql('postgres', <<SQL), '0|0', "$name: with every row once");
SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000;
WITH found AS MATERIALIZED (SELECT id FROM item ORDER BY v <-> random_vector(48, 3))
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM item) - count(*) FROM found
SQL
	return;
}

sub bytes_of
{
	my ($kind) = @_;
	return $node->safe_psql('postgres',
		"SELECT value FROM vecext_index_stats('item_v') WHERE name = 'bytes $kind'");
}

# bytes in the folder of the database
sub size_of_database
{
	return $node->safe_psql('postgres', <<'SQL');
CHECKPOINT;
SELECT sum((pg_stat_file('base/' || oid || '/' || f)).size) FROM pg_database, pg_ls_dir('base/' || oid) f
WHERE datname = 'postgres' AND f ~ '^[0-9]+$'
SQL
}

# --- files that may not grow --------------------------------------------------

my $create = 'CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops)';
$node->safe_psql('postgres', $create);
my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('item_v')");
$node->safe_psql('postgres', 'DROP INDEX item_v');
cmp_ok($size, '>', 3_000_000, "the index takes $size bytes");

for my $case (
	[ 'serial build', 'SET max_parallel_maintenance_workers = 0' ],
	[ 'parallel build', 'SET max_parallel_maintenance_workers = 2' ],
	[ 'build out of memory', "SET maintenance_work_mem = '1MB'" ])
{
	my ($name, $set) = @$case;
	my $before = size_of_database();
	for my $part (0.4, 0.6, 0.97)
	{
		limit_files($node, int($part * $size));
		is_full($node, "$set; $create", "$name, $part of it");
		limit_files($node, 'unlimited');
	}
	cmp_ok(size_of_database() - $before, '<', 300_000, "$name: no file is left");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, false) f}),
		0, "$name: nor a temporary one");
}
$node->safe_psql('postgres', $create);
is_sound('item_v', 'a build with room');

# inserts, one transaction each so that some succeed, to a failure in each place
# an insert can extend the index
for my $part (1, 1.02, 1.06)
{
	limit_files($node, int($part * $size));
	is_full($node, <<'SQL', "insert, $part of it");
DO $$
DECLARE next integer := (SELECT max(id) + 1 FROM item);
BEGIN
	FOR i IN next .. next + 2000 LOOP
		INSERT INTO item SELECT i, CASE WHEN i % 10 = 0 THEN (SELECT v FROM item WHERE id = 7) ELSE v END
			FROM source WHERE id = i;
		COMMIT;
	END LOOP;
END $$
SQL
	limit_files($node, 'unlimited');
	is_sound('item_v', "insert, $part of it");
	$node->safe_psql('postgres', 'INSERT INTO item SELECT * FROM source WHERE id > (SELECT max(id) FROM item) ORDER BY id LIMIT 30');
}
is_sound('item_v', 'inserts with room again');
is(bytes_of('unused'), 0, 'blocks that failed attempts have left are in use now');
limit_files($node, 1_100_000);
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0');
$node->safe_psql('postgres', 'VACUUM item');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_v', true)"), '',
	'a vacuum needs no room');
$node->safe_psql('postgres', 'INSERT INTO item SELECT * FROM source WHERE id % 3 = 0 AND id <= 2000');
limit_files($node, 'unlimited');
is_sound('item_v', 'inserts into the room it made');

# --- a disk of 16 MB ----------------------------------------------------------

my $disk = $ENV{VECEXT_SMALL_DISK} // '';
if ($disk eq '')
{
	diag('NOT RUN: hnsw on a full file system (needs the right to mount one)');
	$node->stop;
	done_testing();
	exit;
}

$node->safe_psql('postgres', 'REINDEX INDEX item_v');
$size = $node->safe_psql('postgres', "SELECT pg_relation_size('item_v')");
take_disk($disk);
mkdir "$disk/space" or die "$disk/space: $!";
$node->safe_psql('postgres', "DROP INDEX item_v");
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
for my $part (0.1, 0.5, 0.9)
{
	fill_disk($disk, int($part * $size));
	is_full($node, "SET max_parallel_maintenance_workers = " . ($part < 0.8 ? 0 : 2) . "; $create TABLESPACE small",
		"build on $part of the room");
}
fill_disk($disk, 2 * $size);
$node->safe_psql('postgres', "$create TABLESPACE small");
is_sound('item_v', 'build with room');

fill_disk($disk, 100_000);
is_full($node, <<'SQL', 'insert on a full disk');
DO $$
DECLARE next integer := (SELECT max(id) + 1 FROM item);
BEGIN
	FOR i IN next .. next + 4000 LOOP
		INSERT INTO item SELECT i, v FROM source WHERE id = i % 14000 + 1;
		COMMIT;
	END LOOP;
END $$
SQL
is_sound('item_v', 'insert on a full disk');
my $left = bytes_of('unused');
# how many depends on how the server extends files
note("$left blocks of an unfinished segment are left");
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 4 = 1');
$node->safe_psql('postgres', 'VACUUM item');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_v', true)"), '',
	'a vacuum on a full disk');
$node->safe_psql('postgres', 'INSERT INTO item SELECT * FROM source WHERE id % 4 = 1 AND id <= 2000');
is_sound('item_v', 'inserts into the room it made');

# a crash while the disk is full, as a full disk often ends
is_full($node, <<'SQL', 'once more');
INSERT INTO item SELECT id + 100000, v FROM source
SQL
$node->stop('immediate');
$node->start;
is_sound('item_v', 'after a crash on a full disk');
is_full($node, 'REINDEX INDEX item_v', 'REINDEX without room');
is_sound('item_v', 'REINDEX without room');
is_full($node, 'REINDEX INDEX CONCURRENTLY item_v', 'REINDEX CONCURRENTLY without room');
is_sound('item_v', 'REINDEX CONCURRENTLY without room');
$node->safe_psql('postgres', 'DROP INDEX item_v_ccnew');
unlink "$disk/filler";
$node->safe_psql('postgres', 'VACUUM item');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_v', true)"), '',
	'and a vacuum with room leaves nothing to do');
$node->safe_psql('postgres', 'INSERT INTO item SELECT id + 200000, v FROM source WHERE id <= 3000');
# inserts add a sixteenth of the index; what one left unfinished, the next uses
my $segment = $node->safe_psql('postgres', "SELECT pg_relation_size('item_v') / 16 + 65536");
cmp_ok(bytes_of('unused'), '<=', $left > $segment ? $left : $segment,
	'no more than one unfinished segment after all that');
is_sound('item_v', 'inserts with room');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY item_v');
is_sound('item_v', 'REINDEX CONCURRENTLY with room');

$node->safe_psql('postgres', 'DROP INDEX item_v');
$node->safe_psql('postgres', 'DROP TABLESPACE small');
$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
