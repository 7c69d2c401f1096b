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

# --- full disks ---------------------------------------------------------------

my $create = 'CREATE INDEX disk_v ON disk USING ivfflat (v) WITH (lists = 50, quantizer = int8)';
my $order = 'v <-> random_vector(96, 8)';
sql(<<SQL);
CREATE TABLE disk (id serial PRIMARY KEY, v vector(96));
INSERT INTO disk (v) SELECT v FROM item;
$create
SQL
my $size_built = sql("SELECT pg_relation_size('disk_v')");
cmp_ok($size_built, '>', sql("SELECT pg_relation_size('disk')") + 16384, 'the limit meets the index before its table');

# rows one by one, so that some succeed
my $one_by_one = <<'SQL';
DO $$ BEGIN FOR i IN 1 .. 1500 LOOP INSERT INTO disk (v) SELECT v FROM item WHERE id = i; COMMIT; END LOOP; END $$
SQL
# another center and fewer old rows: maintenance has much to write
my $churn = <<'SQL';
DELETE FROM disk WHERE id % 2 = 0;
INSERT INTO disk (v) SELECT random_vector(96, -1) + v * array_fill(0.3::real, ARRAY[96])::vector FROM item WHERE id <= 900;
SQL

for my $set ('SET max_parallel_maintenance_workers = 0', 'SET max_parallel_maintenance_workers = 2',
	"SET maintenance_work_mem = '1MB'")
{
	sql('DROP INDEX IF EXISTS disk_v');
	for my $part (0.2, 0.6, 0.97)
	{
		limit_files($node, int($part * $size_built));
		is_full($node, "$set; $create", "$set, build in $part of it");
		limit_files($node, 'unlimited');
	}
	is(stray_files($node), '', "$set: no file is left");
}
sql($create);
is_sound('disk', 'disk_v', $order, 'build with room');
for my $more (0, 5 * 8192, 11 * 8192)
{
	limit_files($node, $size_built + $more);
	is_full($node, $one_by_one, "insert, $more bytes");
	limit_files($node, 'unlimited');
	is_sound('disk', 'disk_v', $order, "insert, $more bytes");
}
for my $more (0, 8192, 100_000, 300_000)
{
	# a fresh index has no page that is free
	sql('REINDEX INDEX disk_v');
	sql($churn);
	my $now = sql("SELECT pg_relation_size('disk_v')");
	# pages that are free come first
	my $free = sql("SELECT value FROM vecext_index_stats('disk_v') WHERE name = 'free pages'");
	limit_files($node, $now + $more);
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nVACUUM disk");
	note("vacuum of $now bytes, $free pages free, $more to add: $rc $err");
	$rc == 0
	  or like($err, qr/ERROR:  (53100: could not|XX000: could not (extend|write).*File too large)/, 'vacuum: says why');
	limit_files($node, 'unlimited');
	is_sound('disk', 'disk_v', $order, "vacuum, $more bytes");
	sql('INSERT INTO disk (v) SELECT v FROM item LIMIT 50');
}
sql('VACUUM disk') for 1 .. 2;
is_sound('disk', 'disk_v', $order, 'vacuum with room');

# --- little memory ------------------------------------------------------------

# a session for each class: an index that is sound, or 54000
for my $case (
	[ 'v vector_l2_ops', 'lists = 60', 'v <-> random_vector(96, 3)' ],
	[ 'v vector_ip_ops', 'lists = 1000, quantizer = int8, refine = half', 'v <#> random_vector(96, 3)' ],
	[ 'h halfvec_cosine_ops', 'lists = 60, refine = heap', 'h <=> random_vector(96, 3)::halfvec' ],
	[ 'l vector_l1_ops', 'lists = 400', 'l <+> random_vector(700, 3)' ],
	[ 's sparsevec_l2_ops', 'lists = 60', 's <-> random_vector(96, 3)::sparsevec' ],
	[ 'b bit_hamming_ops', 'lists = 300', 'b <~> binary_quantize(random_vector(96, 3))' ])
{
	my ($class, $with, $order) = @$case;
	my ($column) = split / /, $class;
	my @memory = qw(1MB 2MB 5MB 64MB);
	my $script = $all;
	for my $memory (@memory)
	{
		for my $workers (0, 1, 3)
		{
			$script .= <<SQL;
SET maintenance_work_mem = '$memory'; SET max_parallel_maintenance_workers = $workers;
CREATE INDEX item_x ON item USING ivfflat ($class) WITH ($with);
SELECT 'BUILD $memory $workers', :'SQLSTATE';
SELECT 'FINDING', c.* FROM pg_class i, vecext_index_check(i.oid, true) c WHERE relname = 'item_x';
SELECT 'ROWS', count(*) - count(DISTINCT id), (SELECT count($column) FROM item) - count(*) FROM (SELECT id FROM item WHERE $column IS NOT NULL ORDER BY $order) s;
DROP INDEX IF EXISTS item_x;
SQL
		}
	}
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
	my @built = $out =~ /^BUILD (.*)$/mg;
	is(scalar(@built), 3 * @memory, "$class: the session lives");
	note("$class: @built");
	is(join(' ', grep { !/\|(00000|54000)$/ } @built), '', "$class: built, or 54000") or diag($err);
	is(join(' ', grep { !/\|00000$/ } grep { /^64MB/ } @built), '', "$class: built in 64 MB");
	is(join("\n", $out =~ /^(FINDING.*)$/mg), '', "$class: sound");
	is(join(' ', grep { !/^0\|0$/ } $out =~ /^ROWS\|(.*)$/mg), '', "$class: every row once");
}

# a thousand rows in little memory: all of them, in order, and the nearest if all
# lists are read
for my $case (
	[ 'v vector_l2_ops', 'lists = 60', 'v', '<->', 'random_vector(96, 4)' ],
	[ 'h halfvec_cosine_ops', 'lists = 60, refine = int8', 'h', '<=>', 'random_vector(96, 4)::halfvec' ],
	[ 'b bit_hamming_ops', 'lists = 60', 'b', '<~>', 'binary_quantize(random_vector(96, 4))' ])
{
	my ($class, $with, $column, $op, $query) = @$case;
	sql("CREATE INDEX item_x ON item USING ivfflat ($class) WITH ($with)");
	my $script = "SELECT array_agg(d ORDER BY d) AS exact FROM (SELECT $column $op $query AS d FROM item ORDER BY 1 LIMIT 1000) s \\gset\n$all";
	my $n = 0;
	for my $memory (64, 256, 4096)
	{
		for my $times (1, 3, 1000)
		{
			for my $probes (32768, 2)
			{
				$n++;
				$script .= <<SQL;
SET work_mem = $memory; SET ivfflat.scan_mem_multiplier = $times;
SET ivfflat.probes = $probes; SET ivfflat.iterative_scan = strict_order;
SELECT '$memory kB x $times, $probes', count(*), count(DISTINCT id), $probes < 60 OR array_agg(d ORDER BY n) = :'exact' FROM
	(SELECT row_number() OVER () AS n, id, d FROM
		(SELECT id, $column $op $query AS d FROM item ORDER BY $column $op $query LIMIT 1000) s) s;
SQL
			}
		}
	}
	my @got = split /\n/, sql($script);
	is(scalar(@got), $n, "scans by $class");
	is(join("\n", grep { !/\|1000\|1000\|t$/ } @got), '', "scans by $class: complete and in order");
	sql('DROP INDEX item_x');
}

# --- large values, odd lists --------------------------------------------------

my $sparse = <<'SQL';
(SELECT ('{' || string_agg((60000 * (e - 1) + g)::text || ':' || (1 + (g * e) % 97)::text, ',' ORDER BY e) || '}/1000000000')::sparsevec
 FROM generate_series(1, 16000) e)
SQL
my $bits = "(SELECT string_agg(md5((g * 500 + e)::text), '' ORDER BY e) FROM generate_series(1, 500) e)";
for my $case (
	[ 'vector(16000)', 'vector_l2_ops', '<->', 'random_vector(16000, g)', 'lists = 4' ],
	[ 'vector(16000)', 'vector_cosine_ops', '<=>', 'random_vector(16000, g)', 'lists = 32768, quantizer = int8' ],
	[ 'vector(16000)', 'vector_l1_ops', '<+>', 'random_vector(16000, g)', 'lists = 4' ],
	[ 'sparsevec(1000000000)', 'sparsevec_l2_ops', '<->', $sparse, 'lists = 4' ],
	[ 'bit(64000)', 'bit_hamming_ops', '<~>', "('x' || $bits)::bit(64000)", 'lists = 4' ],
	[ 'bit(64000)', 'bit_jaccard_ops', '<%>', "('x' || $bits)::bit(64000)", 'lists = 32768' ],
	# few rows, many lists
	[ 'vector(3)', 'vector_l2_ops', '<->', 'random_vector(3, g)', 'lists = 32768' ],
	[ 'sparsevec(3)', 'sparsevec_cosine_ops', '<=>', 'random_vector(3, g)::sparsevec', 'lists = 100' ],
	# rows that are all equal
	[ 'vector(80)', 'vector_l2_ops', '<->', 'random_vector(80, 7)', 'lists = 7' ],
	[ 'vector(80)', 'vector_cosine_ops', '<=>', "array_fill(0::real, ARRAY[80])::vector", 'lists = 7' ],
	[ 'bit(9)', 'bit_jaccard_ops', '<%>', "'101010101'::bit(9)", 'lists = 7' ])
{
	my ($type, $class, $op, $value, $with) = @$case;
	my $name = "$type, $class, $with";
	my $order = "v $op (SELECT v FROM large WHERE id = 21)";
	sql(<<SQL);
CREATE TABLE large (id integer PRIMARY KEY, v $type);
INSERT INTO large SELECT g, $value FROM generate_series(1, 24) g;
CREATE INDEX large_v ON large USING ivfflat (v $class) WITH ($with);
SQL
	is_sound('large', 'large_v', $order, "$name: built");
	sql("INSERT INTO large SELECT g, $value FROM generate_series(25, 60) g");
	is_sound('large', 'large_v', $order, "$name: inserted");
	sql($_) for 'DELETE FROM large WHERE id % 5 = 0', 'VACUUM large', 'VACUUM large';
	is_sound('large', 'large_v', $order, "$name: vacuumed");
	# equal or undefined distances have no nearest
	is(sql("$all SELECT id FROM large ORDER BY v $op (SELECT v FROM large WHERE id = 52) LIMIT 1"), 52,
		"$name: finds a row") if $value =~ /\bg\b/;
	sql('DROP TABLE large');
}

# rows equal to each other, more than a list should have
sql(<<'SQL');
CREATE TABLE same (id serial PRIMARY KEY, v vector(80), b bit(80));
CREATE INDEX same_v ON same USING ivfflat (v) WITH (lists = 20);
CREATE INDEX same_b ON same USING ivfflat (b bit_jaccard_ops) WITH (lists = 20);
INSERT INTO same (v, b) SELECT random_vector(80, 7), (5::bit(3) || 0::bit(77))::bit(80) FROM generate_series(1, 2000);
SQL
sql('VACUUM same') for 1 .. 3;
is_sound('same', 'same_v', 'v <-> random_vector(80, 5)', '2000 equal rows');
is_sound('same', 'same_b', 'b <%> 1::bit(80)', '2000 equal bits');
my $size = sql("SELECT pg_relation_size('same_v') + pg_relation_size('same_b')");
sql('VACUUM same') for 1 .. 3;
is(sql("SELECT pg_relation_size('same_v') + pg_relation_size('same_b')"), $size,
	'2000 equal rows: vacuum comes to rest');

$node->stop;
unlike(slurp_file($node->logfile), qr/WARNING|leak|PANIC|TRAP|terminated by signal/,
	'nothing but errors in the log');
done_testing();
