# Values at the limits of their types: 16,000 dimensions, 16,000 non-zeros, 64,000
# bits; and one value in every row.  Built, inserted, searched, vacuumed, checked.
# VECEXT_LONG=1 takes 100,000 equal rows instead of 10,000.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $node = vecext_node('limits', conf => "autovacuum = off\njit = off\nfsync = off\nmax_wal_size = 2GB\n");
my $all = 'SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 1000000';

# Rows at equal distances from each other have few links that lead to them: some
# are found by the sweep only (H10).
sub findings
{
	return $node->safe_psql('postgres', 'SELECT * FROM vecext_index_check(\'item_v\', true) WHERE invariant <> \'H10\'');
}

# --- dimensions ---------------------------------------------------------------

my $sparse = <<'SQL';
(SELECT ('{' || string_agg((60000 * (e - 1) + g)::text || ':' || (1 + (g * e) % 97)::text, ',' ORDER BY e) || '}/1000000000')::sparsevec
 FROM generate_series(1, 16000) e)
SQL
my $bits = "(SELECT string_agg(md5((g * 500 + e)::text), '' ORDER BY e) FROM generate_series(1, 500) e)";
for my $case (
	[ 'vector(16000)', 'vector_l2_ops', '<->', 'random_vector(16000, g)' ],
	[ 'vector(16000)', 'vector_cosine_ops', '<=>', 'random_vector(16000, g)', 'WITH (m = 4, ef_construction = 10)' ],
	[ 'vector(16000)', 'vector_l1_ops', '<+>', 'random_vector(16000, g)' ],
	[ 'halfvec(16000)', 'halfvec_ip_ops', '<#>', 'random_vector(16000, g)::halfvec', 'WITH (refine = int8)' ],
	[ 'halfvec(16000)', 'halfvec_l1_ops', '<+>', 'random_vector(16000, g)::halfvec' ],
	[ 'sparsevec(1000000000)', 'sparsevec_l2_ops', '<->', $sparse ],
	[ 'sparsevec(1000000000)', 'sparsevec_cosine_ops', '<=>', $sparse ],
	[ 'bit(64000)', 'bit_hamming_ops', '<~>', "('x' || $bits)::bit(64000)" ],
	[ 'bit(64000)', 'bit_jaccard_ops', '<%>', "('x' || $bits)::bit(64000)" ])
{
	my ($type, $class, $operator, $value, $with) = @$case;
	my $name = "$type, $class";
	$with //= '';
	$node->safe_psql('postgres', <<SQL);
CREATE TABLE item (id integer PRIMARY KEY, v $type);
INSERT INTO item SELECT g, $value FROM generate_series(1, 30) g;
CREATE INDEX item_v ON item USING hnsw (v $class) $with;
INSERT INTO item SELECT g, $value FROM generate_series(31, 50) g;
INSERT INTO item SELECT 100 + g, $value FROM generate_series(1, 50, 10) g;
SQL
	is(findings(), '', "$name: sound after inserts");

	# a row and its copy are the two nearest of themselves (but for inner products)
	my $self = "$all; SELECT count(*) FROM (SELECT id FROM item ORDER BY v $operator (SELECT v FROM item WHERE id = 21) LIMIT 2) s WHERE id IN (21, 121)";
	is($node->safe_psql('postgres', $self), 2, "$name: finds equal rows");
	my $once = "$all; SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM item ORDER BY v $operator (SELECT v FROM item WHERE id = 34)) s";
	is($node->safe_psql('postgres', $once), '55|55', "$name: every row once");

	$node->safe_psql('postgres', 'DELETE FROM item WHERE id % 3 = 0 AND id < 100');
	$node->safe_psql('postgres', 'VACUUM item');
	is(findings(), '', "$name: sound after a vacuum");
	# without upper slots, whose number is drawn
	my $bytes = "SELECT sum(value) FROM vecext_index_stats('item_v') WHERE name LIKE 'bytes %' AND name <> 'bytes upper'";
	my $size = $node->safe_psql('postgres', $bytes);
	$node->safe_psql('postgres', "INSERT INTO item SELECT g, $value FROM generate_series(201, 212) g");
	cmp_ok($node->safe_psql('postgres', $bytes), '<=', 1.05 * $size, "$name: room is used again");
	is(findings(), '', "$name: sound after that");
	is($node->safe_psql('postgres', $once), '51|51', "$name: every row once");
	is($node->safe_psql('postgres', "SET enable_seqscan = off; SELECT id FROM item ORDER BY v $operator (SELECT v FROM item WHERE id = 205) LIMIT 1"),
		205, "$name: finds a row in used room");
	$node->safe_psql('postgres', 'DROP TABLE item');
}

# --- equal rows ---------------------------------------------------------------

my $rows = $ENV{VECEXT_LONG} ? 100_000 : 10_000;
my $others = 500;

# CPU seconds of the backend that runs it
sub seconds
{
	my ($sql) = @_;
	my $out = $node->safe_psql('postgres', <<SQL);
CREATE TEMP TABLE times (n integer, stat text);
INSERT INTO times SELECT 1, pg_read_file('/proc/' || pg_backend_pid() || '/schedstat');
$sql;
INSERT INTO times SELECT 2, pg_read_file('/proc/' || pg_backend_pid() || '/schedstat');
SELECT round((max(t) - min(t)) / 1e9, 3) FROM (SELECT split_part(stat, ' ', 1)::numeric AS t FROM times) s;
SQL
	return (split /\n/, $out)[-1];
}

my %value = (
	equal => "CASE WHEN g % ($rows / $others) = 0 THEN random_vector(32, g) ELSE random_vector(32, 0) END",
	distinct => 'random_vector(32, g)');
my %took;
for my $kind (qw(equal distinct))
{
	my $insert = $rows / 10;
	$node->safe_psql('postgres', "CREATE TABLE item (id integer, v vector(32)); INSERT INTO item SELECT g, $value{$kind} FROM generate_series(1, $rows) g; CREATE TABLE more AS SELECT * FROM item LIMIT $insert");
	$took{build}{$kind} = seconds('SET max_parallel_maintenance_workers = 0; CREATE INDEX item_v ON item USING hnsw (v vector_l2_ops)');
	$took{insert}{$kind} = seconds('INSERT INTO item SELECT * FROM more');
	$took{search}{$kind} = seconds("SET enable_seqscan = off; SELECT count(*) FROM generate_series(1, 300) g, LATERAL (SELECT id FROM item ORDER BY v <-> random_vector(32, g) LIMIT 10) s");
	$took{vacuum}{$kind} = seconds("DELETE FROM item WHERE id % 2 = 1");
	$node->safe_psql('postgres', 'VACUUM item');
	is(findings(), '', "$kind rows: sound after a vacuum");
	if ($kind eq 'equal')
	{
		is($node->safe_psql('postgres', <<SQL), $others, 'each of the others is found by itself, among the equal ones');
SET enable_seqscan = off; SET hnsw.iterative_scan = off;
SELECT count(*) FROM generate_series($rows / $others, $rows, $rows / $others) g,
	LATERAL (SELECT id FROM item ORDER BY v <-> random_vector(32, g) LIMIT 1) s WHERE s.id = g;
SQL
		is($node->safe_psql('postgres', <<SQL), 't', 'every row once');
$all; SELECT count(*) = count(DISTINCT ctid) AND count(*) = (SELECT count(*) FROM item)
FROM (SELECT ctid FROM item ORDER BY v <-> random_vector(32, 0)) s;
SQL
	}
	$node->safe_psql('postgres', 'DROP TABLE item, more');
}
for my $what (sort keys %took)
{
	next if $what eq 'vacuum';
	note("$what of $rows rows: equal $took{$what}{equal} s, distinct $took{$what}{distinct} s");
	cmp_ok($took{$what}{equal}, '<', 2 * $took{$what}{distinct} + 0.1, "$what: equal rows take no longer than distinct ones");
}
$node->stop;
done_testing();
