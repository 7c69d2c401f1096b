# Cancel at many moments of a build (serial, parallel, out of memory,
# concurrently), of inserts and of scans: the error is that of a cancel and comes
# soon, the index stays sound, and no lock, pin, file or worker is left behind.
# VECEXT_LONG=1 takes ten times as many moments.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecextAttack;
use VecextTest;

my $moments = $ENV{VECEXT_LONG} ? 100 : 10;

my $node = vecext_node('cancel', conf => <<'CONF');
autovacuum = off
fsync = off
max_wal_size = 2GB
log_temp_files = 0
min_parallel_table_scan_size = 0
CONF
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE item (id serial PRIMARY KEY, v vector(48), w vector(2100));
INSERT INTO item (v, w) SELECT random_vector(48, g % 3900),
	CASE WHEN g % 40 = 0 THEN random_vector(2100, g) END FROM generate_series(1, 4000) g;
CREATE TABLE target (id serial PRIMARY KEY, v vector(48), w vector(2100));
CREATE INDEX target_v ON target USING hnsw (v vector_l2_ops);
CREATE INDEX target_w ON target USING hnsw (w vector_l1_ops);
SQL

# with settings before all, and undo after each attempt
sub cancel_often
{
	my ($name, $settings, $statement, $undo) = @_;
	cancel_many($node, $name, $statement, settings => $settings, undo => $undo,
		moments => $moments);
	return;
}

my $drop = 'DROP INDEX IF EXISTS item_x';
for my $build (
	[ 'serial build', 'SET max_parallel_maintenance_workers = 0',
		'CREATE INDEX item_x ON item USING hnsw (v vector_l2_ops)' ],
	[ 'parallel build', 'SET max_parallel_maintenance_workers = 2',
		'CREATE INDEX item_x ON item USING hnsw (v vector_cosine_ops)' ],
	[ 'build in 1 MB', "SET maintenance_work_mem = '1MB'",
		'CREATE INDEX item_x ON item USING hnsw (v vector_l2_ops) WITH (ef_construction = 32)' ],
	[ 'build of long values', 'SET max_parallel_maintenance_workers = 1',
		'CREATE INDEX item_x ON item USING hnsw (w vector_l1_ops)' ])
{
	cancel_often(@$build, $drop);
}

# an invalid index stays, as with any access method, and takes inserts
cancel_often('concurrent build', 'SET max_parallel_maintenance_workers = 0',
	'CREATE INDEX CONCURRENTLY item_x ON item USING hnsw (v vector_l2_ops)', $drop);
$node->safe_psql('postgres', 'CREATE INDEX item_x ON item USING hnsw (v vector_l2_ops)');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('item_x', true)"), '',
	'a build that is left alone is sound');

cancel_often('insert', 'SET work_mem = 4096',
	'INSERT INTO target (v, w) SELECT v, w FROM item WHERE id <= 1200');
is($node->safe_psql('postgres', <<'SQL'), '', 'insert: both indexes are sound but for links');
SELECT c.* FROM (VALUES ('target_v'), ('target_w')) i(name),
	vecext_index_check(i.name::regclass, true) c WHERE invariant NOT IN ('H9', 'H10')
SQL
$node->safe_psql('postgres', 'VACUUM target');
is($node->safe_psql('postgres', <<'SQL'), '', 'insert: and sound with all after a vacuum');
SELECT c.* FROM (VALUES ('target_v'), ('target_w')) i(name),
	vecext_index_check(i.name::regclass, true) c
SQL

my $far = 'SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000';
cancel_often('scan', $far, <<'SQL');
SELECT count(n.id) FROM generate_series(1, 100) g, LATERAL
	(SELECT id FROM item ORDER BY v <-> random_vector(48, g) LIMIT 5 + g) n
SQL
cancel_often('scan to the end', $far, <<'SQL');
SELECT count(n.id) FROM generate_series(1, 8) g, LATERAL
	(SELECT id FROM item WHERE id % 999 = g ORDER BY v <-> random_vector(48, g) LIMIT 4000) n
SQL
cancel_often('check', 'SET work_mem = 4096', <<'SQL');
SELECT count(*) FROM (VALUES ('target_v'), ('target_w'), ('item_x')) i(name), generate_series(1, 10),
	vecext_index_check(i.name::regclass, true) c
SQL
is($node->safe_psql('postgres', <<'SQL'), '4000|4000', 'every row once after all that');
SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v <-> random_vector(48, 1)) s
SQL

$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
