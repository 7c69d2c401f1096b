# ivfflat under cancels, full disks and little memory, with the largest values
# and the oddest numbers of lists: done or a clean error, and a sound index.
# VECEXT_LONG=1 takes ten times as many moments to cancel at.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextAttack;
use VecextTest;

my $moments = $ENV{VECEXT_LONG} ? 60 : 6;
# WAL files of 1 MB, smaller than the limits on files below
my $node = vecext_node('attack', init => [ extra => [ '--wal-segsize=1' ] ], conf => <<'CONF');
autovacuum = off
fsync = off
jit = off
max_wal_size = 2GB
log_temp_files = 0
min_parallel_table_scan_size = 0
CONF

sub sql
{
	return $node->safe_psql('postgres', @_);
}

my $all = "SET enable_seqscan = off; SET enable_sort = off; SET vecext.enable_topk = off; SET ivfflat.probes = 32768;";

# sound, and a scan of all lists returns every row once
sub is_sound
{
	my ($table, $index, $value, $name) = @_;
	is(sql("SELECT * FROM vecext_index_check('$index', true)"), '', "$name: sound");
	is(sql(<<SQL), '0|0', "$name: every row once");
$all
WITH found AS MATERIALIZED (SELECT id FROM $table ORDER BY $value)
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM $table) - count(*) FROM found
SQL
	return;
}

sql(<<'SQL');
CREATE TABLE item (id serial PRIMARY KEY, v vector(96), h halfvec(96), l vector(700), b bit(96), s sparsevec(96))
	WITH (parallel_workers = 4);
INSERT INTO item (v) SELECT random_vector(96, g % 30) + random_vector(96, 1000 + g % 1900) * array_fill(0.4::real, ARRAY[96])::vector
	FROM generate_series(1, 2000) g;
UPDATE item SET h = v, s = v::sparsevec, b = binary_quantize(v), l = CASE WHEN id % 4 = 0 THEN random_vector(700, id) END;
VACUUM FULL item;
SQL

# --- cancelled ----------------------------------------------------------------

for my $build (
	[ 'serial build', 'SET max_parallel_maintenance_workers = 0', 'v vector_l2_ops', 'lists = 60' ],
	[ 'parallel build', 'SET max_parallel_maintenance_workers = 2', 'v vector_cosine_ops', 'lists = 60' ],
	[ 'build of values', 'SET max_parallel_maintenance_workers = 1', 'b bit_jaccard_ops', 'lists = 60' ],
	[ 'build in 1 MB', "SET maintenance_work_mem = '1MB'", 'l vector_l1_ops', 'lists = 30' ])
{
	my ($name, $settings, $column, $with) = @$build;
	cancel_many($node, $name, "CREATE INDEX item_x ON item USING ivfflat ($column) WITH ($with)",
		settings => $settings, undo => 'DROP INDEX IF EXISTS item_x', moments => $moments);
}
# an invalid index stays, as with any access method, and takes inserts
cancel_many($node, 'concurrent build', 'CREATE INDEX CONCURRENTLY item_x ON item USING ivfflat (v) WITH (lists = 60)',
	settings => "SET client_min_messages = error; SET max_parallel_maintenance_workers = 2",
	undo => "INSERT INTO item (v) SELECT v FROM item WHERE id = 5; DELETE FROM item WHERE h IS NULL;\nDROP INDEX IF EXISTS item_x",
	moments => $moments);

sql(<<'SQL');
CREATE TABLE target (id serial PRIMARY KEY, v vector(96), l vector(700));
CREATE INDEX target_v ON target USING ivfflat (v) WITH (lists = 40);
CREATE INDEX target_l ON target USING ivfflat (l vector_l1_ops) WITH (lists = 15);
SQL
my $check = "SELECT c.* FROM (VALUES ('target_v'), ('target_l')) i(name), vecext_index_check(i.name::regclass, true) c";
my $insert = 'INSERT INTO target (v, l) SELECT v, l FROM item';
cancel_many($node, 'insert', $insert, check => $check, moments => $moments);

# each time rows around another center come, and the oldest go: lists are split,
# dropped and packed
sql("CREATE SEQUENCE turn; VACUUM target");
cancel_many($node, 'vacuum', 'VACUUM target',
	prepare => <<'SQL' =~ s/;\n\z//r, check => $check, moments => 2 * $moments);
SELECT nextval('turn') AS turn \gset turn_
INSERT INTO target (v, l) SELECT random_vector(96, -:turn_turn) + v * array_fill(0.3::real, ARRAY[96])::vector, l FROM item WHERE id <= 1200;
DELETE FROM target WHERE id IN (SELECT id FROM target ORDER BY id LIMIT (SELECT greatest(count(*) - 3500, 0) FROM target));
SQL
sql('VACUUM target') for 1 .. 2;
is_sound('target', 'target_v', 'v <-> random_vector(96, 5)', 'after cancelled vacuums');
cmp_ok(sql("SELECT value FROM vecext_index_stats('target_v') WHERE name = 'lists'"), '>=', 20,
	'maintenance made lists');

cancel_many($node, 'scan', <<'SQL', settings => $all, moments => $moments);
SELECT count(n.id) FROM generate_series(1, 60) g, LATERAL
	(SELECT id FROM target ORDER BY v <-> random_vector(96, g) LIMIT 5 + 10 * g) n
SQL
cancel_many($node, 'scan of values', <<'SQL', settings => "$all SET ivfflat.probes = 1", moments => $moments);
SELECT count(n.id) FROM generate_series(1, 20) g, LATERAL
	(SELECT id FROM target WHERE id % 999 = g ORDER BY l <+> random_vector(700, g) LIMIT 4000) n
SQL
is_sound('target', 'target_v', 'v <-> random_vector(96, 6)', 'after cancelled scans');

$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
