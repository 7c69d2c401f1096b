# What happens to an index besides reading and writing: builds and rebuilds under
# load, base backups, copies of the data folder, crash of unlogged tables,
# temporary tables, other tablespaces, rewrites of the table.
# VECEXT_LONG=1 keeps the load up for longer.
use strict;
use warnings FATAL => 'all';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $rounds = $ENV{VECEXT_LONG} ? 10 : 2;
my $all = 'SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000';

my $node = vecext_node('life',
	init => [ allows_streaming => 1 ],
	conf => "autovacuum = off\nfsync = off\nmax_wal_size = 2GB\nmin_parallel_table_scan_size = 0\n");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE item (id serial PRIMARY KEY, kind integer, v vector(40), a real[]);
INSERT INTO item (kind, v, a) SELECT g % 5, random_vector(40, g % 2900), random_vector(40, g)::real[]
	FROM generate_series(1, 3000) g;
CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops);
CREATE INDEX item_some ON item USING hnsw (v vector_cosine_ops) WHERE kind = 1;
CREATE INDEX item_a ON item USING hnsw ((a::vector(40)::halfvec(40)) halfvec_l2_ops);
SQL
my @indexes = qw(item_v item_some item_a);

sub sound
{
	my ($on, $name, $but) = @_;
	for my $index (@indexes)
	{
		is($on->safe_psql('postgres', "SELECT * FROM vecext_index_check('$index', true)
			WHERE invariant <> ALL ('{" . ($but // '') . "}')"), '', "$name: $index is sound");
	}
	return;
}

# every row once by each index
sub complete
{
	my ($on, $name) = @_;
	for my $scan (
		[ 'v', 'item ORDER BY v <-> random_vector(40, 7)', 'item' ],
		[ 'some', 'item WHERE kind = 1 ORDER BY v <=> random_vector(40, 7)', 'item WHERE kind = 1' ],
		[ 'a', 'item ORDER BY a::vector(40)::halfvec(40) <-> random_vector(40, 7)::halfvec', 'item' ])
	{
		my ($index, $from, $rows) = @$scan;
		like($on->safe_psql('postgres', "$all; EXPLAIN SELECT id FROM $from"),
			qr/Index Scan using item_$index/, "$name: item_$index is used");
		is($on->safe_psql('postgres', <<SQL), '0|0', "$name: item_$index has every row once");
$all;
WITH found AS MATERIALIZED (SELECT id FROM $from)
SELECT count(*) - count(DISTINCT id), (SELECT count(*) FROM $rows) - count(*) FROM found
SQL
	}
	return;
}

# --- under load ---------------------------------------------------------------

my $script = $node->basedir . '/load.sql';
append_to_file($script, <<'SQL');
\set s random(1, 100000)
\set k random(0, 4)
INSERT INTO item (kind, v, a) SELECT :k, random_vector(40, :s), random_vector(40, :s + 1)::real[];
BEGIN;
UPDATE item SET v = random_vector(40, :s + 2) WHERE id = (SELECT id FROM item WHERE id > :s % 3000 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);
INSERT INTO item (kind, v, a) SELECT :k, v, a FROM item WHERE id = :s % 3000;
COMMIT;
BEGIN;
INSERT INTO item (kind, v, a) SELECT 1, random_vector(40, :s + 3), random_vector(40, 5)::real[];
ROLLBACK;
DELETE FROM item WHERE id = (SELECT id FROM item ORDER BY v <-> random_vector(40, :s) LIMIT 1 FOR UPDATE SKIP LOCKED);
SQL
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '--no-vacuum', '--client=3', '--jobs=1', '--random-seed=3', '--rate=150', '--time=600',
		"--file=$script", $node->connstr('postgres') ],
	'>', \$out, '2>', \$err);
$node->poll_query_until('postgres', 'SELECT max(id) > 3010 FROM item') or die 'no load';

my @backups;
for my $round (1 .. $rounds)
{
	my $before = $node->safe_psql('postgres', 'SELECT max(id) FROM item');
	$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY item_v');
	$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY item_some');
	$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY item_some ON item USING hnsw (v vector_cosine_ops) WHERE kind = 1');
	$node->safe_psql('postgres', 'VACUUM item');
	$node->safe_psql('postgres', 'SET max_parallel_maintenance_workers = 0; REINDEX TABLE CONCURRENTLY item');
	$node->backup("backup$round");
	push @backups, "backup$round";
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready"),
		0, "round $round: all indexes are valid");
	cmp_ok($node->safe_psql('postgres', 'SELECT max(id) FROM item'), '>', $before, "round $round: under load");
}
$load->signal('TERM');
IPC::Run::finish($load);
unlike($err, qr/ERROR|FATAL|PANIC/, 'no client met an error');
sound($node, 'after load', 'H10');
complete($node, 'after load');
$node->safe_psql('postgres', 'VACUUM item');
# an island of nodes that link to each other is found by the sweep only
sound($node, 'vacuumed after load', 'H10');

# a backup taken under load
my $copy = PostgreSQL::Test::Cluster->new('backup');
$copy->init_from_backup($node, $backups[-1]);
$copy->start;
sound($copy, 'base backup', 'H9,H10');
complete($copy, 'base backup');
$copy->safe_psql('postgres', 'DELETE FROM item WHERE id % 7 = 0');
$copy->safe_psql('postgres', 'VACUUM item');
$copy->safe_psql('postgres', "INSERT INTO item (kind, v, a) SELECT 1, random_vector(40, g), random_vector(40, g)::real[] FROM generate_series(1, 200) g");
sound($copy, 'base backup, written to', 'H10');
$copy->stop;

# what pg_upgrade and file system snapshots do: the files, of a stopped server
$node->stop;
my $moved = PostgreSQL::Test::Cluster->new('moved');
PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $moved->data_dir);
chmod(0700, $moved->data_dir);
$moved->append_conf('postgresql.conf', 'port = ' . $moved->port);
$moved->append_conf('postgresql.conf', "unix_socket_directories = '" . $moved->host . "'");
$moved->start;
sound($moved, 'copied data folder', 'H10');
complete($moved, 'copied data folder');
$moved->stop;
$node->start;

# --- unlogged -----------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE UNLOGGED TABLE quick (id integer, v vector(40));
INSERT INTO quick SELECT g, random_vector(40, g) FROM generate_series(1, 1000) g;
CREATE INDEX quick_v ON quick USING hnsw (v vector_l2_ops);
CREATE UNLOGGED TABLE fresh (id integer, v vector(2500));
CREATE INDEX fresh_v ON fresh USING hnsw (v vector_l1_ops);
INSERT INTO fresh SELECT g, random_vector(2500, g) FROM generate_series(1, 30) g;
SQL
my $nearest = "$all; SELECT count(*), min(id) FROM (SELECT id FROM quick ORDER BY v <-> random_vector(40, 9)) s";
$node->restart;
is($node->safe_psql('postgres', $nearest), '1000|1', 'unlogged: a clean restart keeps it');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $nearest), '0|', 'unlogged: a crash empties it');
for my $case ([ 'quick', '<->', 40 ], [ 'fresh', '<+>', 2500 ])
{
	my ($table, $operator, $dim) = @$case;
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${table}_v', true)"), '',
		"unlogged: $table is sound and empty");
	$node->safe_psql('postgres', "INSERT INTO $table SELECT g, random_vector($dim, g) FROM generate_series(1, 60) g");
	is($node->safe_psql('postgres', "$all; SELECT id FROM $table ORDER BY v $operator random_vector($dim, 41) LIMIT 1"),
		41, "unlogged: $table is filled again");
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('${table}_v', true)"), '',
		"unlogged: $table is sound");
}
$node->safe_psql('postgres', 'ALTER TABLE quick SET LOGGED');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $nearest), '60|1', 'made logged, it survives');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('quick_v', true)"), '', 'and is sound');

# --- a session that has the index open while it changes places ---------------

my $place = $node->basedir . '/place';
mkdir $place;
$node->safe_psql('postgres', "CREATE TABLESPACE place LOCATION '$place'");
my $session = $node->background_psql('postgres');
my $count = "$all; SELECT count(*), (array_agg(id))[1] FROM (SELECT id FROM quick ORDER BY v <-> random_vector(40, 33)) s";
is($session->query_safe($count), '60|33', 'a session searches');
for my $change (
	'ALTER INDEX quick_v SET TABLESPACE place', 'ALTER TABLE quick SET TABLESPACE place',
	'ALTER TABLE quick SET UNLOGGED', 'VACUUM FULL quick', 'CLUSTER quick USING quick_id',
	'ALTER TABLE quick ALTER v TYPE vector(40) USING v + v - v', 'REINDEX INDEX quick_v',
	'ALTER INDEX quick_v SET (m = 5); REINDEX INDEX quick_v', 'REINDEX INDEX CONCURRENTLY quick_v',
	'ALTER TABLE quick SET LOGGED', 'ALTER INDEX quick_v SET TABLESPACE pg_default',
	'BEGIN; TRUNCATE quick; INSERT INTO quick VALUES (1, random_vector(40, 1)); ROLLBACK',
	'BEGIN; REINDEX INDEX quick_v; ROLLBACK')
{
	$node->safe_psql('postgres', 'CREATE INDEX quick_id ON quick (id)') if $change =~ /CLUSTER/;
	$node->safe_psql('postgres', $change);
	is($session->query_safe($count), '60|33', "it still does after $change");
	is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('quick_v', true)"), '', 'sound');
}
$node->safe_psql('postgres', 'TRUNCATE quick');
is($session->query_safe($count), '0|', 'after TRUNCATE');
$session->query_safe('INSERT INTO quick SELECT g, random_vector(40, g) FROM generate_series(30, 40) g');
is($session->query_safe($count), '11|33', 'and new rows');
is($node->safe_psql('postgres', "SELECT * FROM vecext_index_check('quick_v', true)"), '', 'sound');

# rolled back in the session itself: the index it has cached never was
is($session->query_safe(<<SQL), "11|33\n0|", 'a REINDEX and a TRUNCATE of its own');
BEGIN; REINDEX INDEX quick_v; $count;
SAVEPOINT s; TRUNCATE quick; $count;
SQL
is($session->query_safe("ROLLBACK TO s; $count; ROLLBACK; $count"), "11|33\n11|33", 'are undone');
$session->quit;

# --- temporary ----------------------------------------------------------------

is($node->safe_psql('postgres', <<SQL), "300|5\n150|5\n\n0|\n20|5", 'temporary table');
$all;
CREATE TEMP TABLE short (id integer, v vector(40));
INSERT INTO short SELECT g, random_vector(40, g) FROM generate_series(1, 200) g;
CREATE INDEX short_v ON short USING hnsw (v vector_l2_ops);
INSERT INTO short SELECT g, random_vector(40, g) FROM generate_series(201, 300) g;
SELECT count(*), (array_agg(id))[1] FROM (SELECT id FROM short ORDER BY v <-> random_vector(40, 5)) s;
DELETE FROM short WHERE id % 2 = 0;
VACUUM short;
SELECT count(*), (array_agg(id))[1] FROM (SELECT id FROM short ORDER BY v <-> random_vector(40, 5)) s;
SELECT string_agg(c::text, ' ') FROM vecext_index_check('short_v', true) c;
DROP TABLE short;
BEGIN;
CREATE TEMP TABLE short (id integer, v vector(40)) ON COMMIT DELETE ROWS;
CREATE INDEX short_v ON short USING hnsw (v vector_l2_ops);
INSERT INTO short SELECT g, random_vector(40, g) FROM generate_series(1, 200) g;
COMMIT;
SELECT count(*), (array_agg(id))[1] FROM (SELECT id FROM short ORDER BY v <-> random_vector(40, 5)) s;
BEGIN;
INSERT INTO short SELECT g, random_vector(40, g) FROM generate_series(1, 20) g;
SELECT count(*), (array_agg(id))[1] FROM (SELECT id FROM short ORDER BY v <-> random_vector(40, 5)) s;
COMMIT;
SQL

$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
