# ivfflat on a full disk (ENOSPC): builds, inserts, a crash and REINDEX end with an
# error that says so, VACUUM leaves lists as they are and says so, in an index as
# sound as before.  223_ivfflat_attacks.pl does the same by a limit on the size of files.
#
# The disk is a tablespace on a file system of 16 MB; it takes root to mount one,
# so check.sh does, and where it may not this says NOT RUN.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextAttack;
use VecextTest;

my $disk = $ENV{VECEXT_SMALL_DISK} // '';
if ($disk eq '')
{
	diag('NOT RUN: ivfflat on a full file system (needs the right to mount one)');
	ok(1, 'nothing to run without a disk to fill');
	done_testing();
	exit;
}

my $node = vecext_node('ivffull', conf => "autovacuum = off\nfsync = off\nmin_parallel_table_scan_size = 0\n");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE source AS SELECT g AS id, random_vector(96, g % 40) + random_vector(96, 1000 + g) * array_fill(0.4::real, ARRAY[96])::vector AS v
	FROM generate_series(1, 6000) g;
CREATE TABLE item (id integer PRIMARY KEY, v vector(96));
INSERT INTO item SELECT * FROM source WHERE id <= 4000;
SQL

sub is_sound
{
	my ($name) = @_;
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_v', true)"), '', "$name: sound");
	is($node->safe_psql('postgres', <<'SQL'), '0|0', "$name: every row once");
SET enable_seqscan = off; SET enable_sort = off; SET vecext.enable_topk = off; SET ivfflat.probes = 32768;
WITH found AS MATERIALIZED (SELECT id FROM item ORDER BY v <-> random_vector(96, 3))
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM item) - count(*) FROM found
SQL
	return;
}

# lists are written anew beside the old: where there is no room they are left
sub vacuum
{
	my ($free) = @_;
	fill_disk($disk, $free);
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nVACUUM item");
	note("vacuum with $free bytes free: $rc $err");
	is($rc, 0, "vacuum with $free bytes free: no error");
	is_sound("vacuum with $free bytes free");
	return $err;
}

take_disk($disk);
mkdir "$disk/lists" or die "$disk/lists: $!";
$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/lists'");
my $create = 'CREATE INDEX item_v ON item USING ivfflat (v) WITH (lists = 40) TABLESPACE small';
$node->safe_psql('postgres', $create);
my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('item_v')");
cmp_ok($size, '>', 1_500_000, "the index takes $size bytes");
$node->safe_psql('postgres', 'DROP INDEX item_v; CHECKPOINT');

for my $workers (0, 2)
{
	for my $part (0.02, 0.5, 0.9)
	{
		fill_disk($disk, int($part * $size));
		is_full($node, "SET max_parallel_maintenance_workers = $workers; $create",
			"build with $workers workers on $part of the room");
	}
	# the temporary files of a build, too
	fill_disk($disk, int(0.5 * $size));
	is_full($node, "SET max_parallel_maintenance_workers = $workers; SET temp_tablespaces = small; "
		  . 'CREATE INDEX item_v ON item USING ivfflat (v) WITH (lists = 40)',
		"temporary files of a build with $workers workers");
}
fill_disk($disk, 2 * $size);
$node->safe_psql('postgres', $create);
is_sound('build with room');

fill_disk($disk, 60_000);
is_full($node, <<'SQL', 'insert');
DO $$ BEGIN FOR i IN 4001 .. 6000 LOOP INSERT INTO item SELECT * FROM source WHERE id = i; COMMIT; END LOOP; END $$
SQL
is_sound('insert');

# half of the rows go, others come around another center: lists to split and to drop
$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 4 < 3');
like(vacuum(0), qr/WARNING:  53100: lists of index "item_v" are left as they are/, 'lists are left, for want of room');
is($node->safe_psql('postgres', 'SELECT count(*) FROM item'), $node->safe_psql('postgres', q(SELECT reltuples FROM pg_class WHERE relname = 'item')),
	'the rest of VACUUM is done');
my $statement = 'INSERT INTO item SELECT 10000 + id, random_vector(96, -1) + v * array_fill(0.2::real, ARRAY[96])::vector FROM source WHERE id <= 1500';
$node->psql('postgres', $statement);
is_sound('inserts into room, or none');
vacuum($_) for (0, 100_000, 400_000);

fill_disk($disk, 0);
is_full($node, 'INSERT INTO item SELECT 20000 + id, v FROM source', 'inserts before a crash');
$node->stop('immediate');
$node->start;
is_sound('after a crash on a full disk');
is_full($node, 'REINDEX INDEX item_v', 'REINDEX');
is_sound('REINDEX');
unlink "$disk/filler";
is(($node->psql('postgres', 'VACUUM item; VACUUM item'))[2], '', 'no warning with room');
is_sound('vacuum with room');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY item_v');
is_sound('REINDEX CONCURRENTLY with room');

$node->safe_psql('postgres', 'DROP INDEX item_v');
$node->safe_psql('postgres', 'DROP TABLESPACE small');
$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING:  (?!lists of index)|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
