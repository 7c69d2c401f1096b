# A big table is searched and aggregated in parallel, under default settings,
# and the result is the serial one.
use strict;
use warnings FATAL => 'all';
use Test::More;
use VecextTest;

my $node = vecext_node('main');

# Elements are small integers, and those of halves stay near zero in the sum:
# sums are exact in any order.  One table for each type, without out-of-line
# values, as big as it takes for workers to pay: 100 MB.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE base AS
	SELECT i, (SELECT array_agg((i * 7919 + j * 104729) % 1009 % 256 - 100)
			FROM generate_series(1, 128) j)::vector(128) AS v,
		(SELECT array_agg((i * 7919 + j * j) % 3 - 1) FROM generate_series(1, 256) j)::halfvec(256) AS h,
		format('{%s:%s,%s:%s,%s:3}/1000', 1 + i % 250, 1 + i % 11, 251 + i % 251, 1 + i % 7,
			601 + i % 13)::sparsevec(1000) AS s
	FROM generate_series(1, 1000) i;
CREATE TABLE vectors AS SELECT n * 1000 + i AS id, i % 10 AS part, v FROM base, generate_series(0, 199) n;
CREATE TABLE halves AS SELECT n * 1000 + i AS id, i % 10 AS part, h AS v FROM base, generate_series(0, 199) n;
CREATE TABLE sparses AS SELECT n * 1000 + i AS id, i % 10 AS part, s AS v FROM base, generate_series(0, 199) n;
VACUUM ANALYZE;
SQL

my $serial = 'SET max_parallel_workers_per_gather = 0;';

sub plan_of { return $node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $_[0]") }

my @search = (
	map({ [ 'vectors', $_ ] } '<->', '<#>', '<=>', '<+>'),
	[ 'halves', '<->' ],
	[ 'sparses', '<->' ]);
for (@search)
{
	my ($table, $operator) = @$_;
	my $query = $node->safe_psql('postgres', "SELECT v FROM $table WHERE id = 77");
	my $sql = "SELECT id FROM $table ORDER BY v $operator '$query', id LIMIT 10";
	my $name = "$table $operator";
	like(plan_of($sql), qr/Gather Merge.*Parallel Seq Scan/s, "$name: the plan is parallel");
	my $found = $node->safe_psql('postgres', $sql);
	is(scalar(() = $found =~ /\d+/g), 10, "$name: 10 rows");
	is($found, $node->safe_psql('postgres', "$serial $sql"), "$name: the rows of a serial scan");
}

for my $table (qw(vectors halves sparses))
{
	for my $grouped ('', ' GROUP BY part ORDER BY part')
	{
		my $sql = "SELECT avg(v), sum(v), count(*) FROM $table$grouped";
		my $name = "$table$grouped";
		like(plan_of($sql), qr/Partial (?:Group|Hash)?Aggregate/, "$name: partial aggregates");
		ok($node->safe_psql('postgres', $sql) eq $node->safe_psql('postgres', "$serial $sql"),
			"$name: the serial result");
	}
}

# a small table is not worth workers
$node->safe_psql('postgres',
	'CREATE TABLE few AS SELECT * FROM vectors LIMIT 100; ANALYZE few');
unlike(plan_of("SELECT id FROM few ORDER BY v <-> (SELECT v FROM few LIMIT 1) LIMIT 10"),
	qr/Gather/, 'few rows are searched serially');

done_testing();
