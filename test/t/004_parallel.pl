# A big table is searched and aggregated in parallel, under default settings,
# and the result is the serial one.
use strict;
use warnings FATAL => 'all';
use Test::More;
use VecextTest;

my $node = vecext_node('main');

# elements are small integers: sums are exact in any order
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE items AS
	SELECT i AS id, i % 10 AS part, ARRAY(
		SELECT ((i * 7919 + j * 104729) % 1009) % 256 - 100 FROM generate_series(1, 128) j
	)::vector(128) AS v
	FROM generate_series(1, 40000) i;
ALTER TABLE items ADD h halfvec(128), ADD s sparsevec(128);
UPDATE items SET h = v::halfvec, s = v::sparsevec;
VACUUM (FULL, ANALYZE) items;
SQL

my $serial = 'SET max_parallel_workers_per_gather = 0;';

sub plan_of { return $node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $_[0]") }

my $query = 'SELECT v FROM items WHERE id = 77';
my @search = (
	[ 'l2', "SELECT id FROM items ORDER BY v <-> ($query), id LIMIT 10" ],
	[ 'inner product', "SELECT id FROM items ORDER BY v <#> ($query), id LIMIT 10" ],
	[ 'cosine', "SELECT id FROM items ORDER BY v <=> ($query), id LIMIT 10" ],
	[ 'l1', "SELECT id FROM items ORDER BY v <+> ($query), id LIMIT 10" ],
	[ 'half', "SELECT id FROM items ORDER BY h <-> ($query)::halfvec, id LIMIT 10" ],
	[ 'sparse', "SELECT id FROM items ORDER BY s <-> ($query)::sparsevec, id LIMIT 10" ],
);
for (@search)
{
	my ($name, $sql) = @$_;
	like(plan_of($sql), qr/Gather Merge.*Parallel Seq Scan/s, "$name: the plan is parallel");
	my $found = $node->safe_psql('postgres', $sql);
	is(scalar(() = $found =~ /\d+/g), 10, "$name: 10 rows");
	is($found, $node->safe_psql('postgres', "$serial $sql"), "$name: the rows of a serial scan");
}

for my $column (qw(v h s))
{
	for my $grouped ('', ' GROUP BY part ORDER BY part')
	{
		my $sql = "SELECT avg($column), sum($column), count(*) FROM items$grouped";
		my $name = "$column$grouped";
		like(plan_of($sql), qr/Partial (?:Group|Hash)?Aggregate/, "$name: partial aggregates");
		ok($node->safe_psql('postgres', $sql) eq $node->safe_psql('postgres', "$serial $sql"),
			"$name: the serial result");
	}
}

# a small table is not worth workers
$node->safe_psql('postgres',
	'CREATE TABLE few AS SELECT * FROM items LIMIT 100; ANALYZE few');
unlike(plan_of("SELECT id FROM few ORDER BY v <-> ($query) LIMIT 10"),
	qr/Gather/, 'few rows are searched serially');

done_testing();
