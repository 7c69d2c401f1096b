# Every refine x nav_bits x sketch_bits, over types and metrics: built, inserted
# into, vacuumed; each time the index is sound, returns every row once in exact
# order, and finds the nearest.  Prints the bytes each takes.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $dim = 40;
my $node = vecext_node('storage',
	conf => "autovacuum = off\njit = off\nfsync = off\nmax_parallel_maintenance_workers = 0\n");

# clustered, a tenth of the rows with equal values
$node->safe_psql('postgres', <<SQL);
CREATE TABLE source AS SELECT g AS id, random_vector($dim, (g % 540) % 20)
	+ random_vector($dim, 1000 + g % 540) * array_fill(0.4::real, ARRAY[$dim])::vector AS v
	FROM generate_series(1, 600) g;
CREATE TABLE query AS SELECT g AS n, random_vector($dim, g % 20)
	+ random_vector($dim, 9000 + g) * array_fill(0.4::real, ARRAY[$dim])::vector AS v
	FROM generate_series(1, 20) g;
SQL

# One row: part of the 10 nearest that are found; queries whose rows are not all
# rows, once each; queries whose distances are not the exact ones in the exact order.
sub measure
{
	my ($type, $operator) = @_;
	my $nearest = "SELECT id, item.v $operator query.v::$type AS d FROM item ORDER BY item.v $operator query.v::$type";
	return split /\|/, $node->safe_psql('postgres', <<SQL);
SET hnsw.max_scan_tuples = 1000000;
SET enable_indexscan = off;
CREATE TEMP TABLE exact AS SELECT n, array(SELECT d FROM ($nearest) x) AS d FROM query;
SET enable_indexscan = on;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TEMP TABLE found AS SELECT n, array(SELECT d FROM ($nearest LIMIT 10) x) AS d FROM query;
CREATE TEMP TABLE everything AS SELECT n, array_agg(id) AS ids, array_agg(d) AS d
	FROM query, LATERAL ($nearest) x WHERE n <= 3 GROUP BY n;
SELECT round(avg((SELECT count(*) FROM unnest(f.d) x WHERE x <= e.d[10])) / 10, 3),
	(SELECT count(*) FROM everything a WHERE cardinality(a.ids) <> (SELECT count(*) FROM item)
		OR (SELECT count(DISTINCT x) FROM unnest(a.ids) x) <> (SELECT count(*) FROM item)),
	count(*) FILTER (WHERE f.d <> ARRAY(SELECT x FROM unnest(f.d) x ORDER BY x))
FROM exact e JOIN found f USING (n);
SQL
}

my @class = (
	[ 'vector', 'vector_l2_ops', '<->' ], [ 'halfvec', 'halfvec_cosine_ops', '<=>' ],
	[ 'vector', 'vector_ip_ops', '<#>' ], [ 'halfvec', 'halfvec_l2_ops', '<->' ],
	[ 'vector', 'vector_cosine_ops', '<=>' ], [ 'halfvec', 'halfvec_ip_ops', '<#>' ]);
my $turn = 0;
my %bytes;

for my $refine (qw(full half int8 heap))
{
	for my $nav (qw(2 4 8 32))
	{
		for my $sketch (-1, 0, 96)
		{
			# each class meets each option, if not all of them at once
			my ($type, $class, $operator) = @{ $class[ $turn++ % @class ] };
			my $name = "refine = $refine, nav_bits = $nav, sketch_bits = $sketch, $class";
			my $cast = "v::$type($dim)";

			$node->safe_psql('postgres', <<SQL);
DROP TABLE IF EXISTS item;
CREATE TABLE item (id integer PRIMARY KEY, v $type($dim));
INSERT INTO item SELECT id, v FROM source WHERE id <= 400;
CREATE INDEX item_v ON item USING hnsw (v $class)
	WITH (m = 8, ef_construction = 40, refine = $refine, nav_bits = $nav, sketch_bits = $sketch);
SQL
			$bytes{"$refine nav_bits $nav"} //= $node->safe_psql('postgres', "SELECT pg_relation_size('item_v')");
			for my $step (
				[ 'built', 0.99, '' ],
				[ 'inserted', 0.98, 'INSERT INTO item SELECT id, v FROM source WHERE id > 400' ],
				[ 'vacuumed', 0.97, 'DELETE FROM item WHERE id % 3 = 0' ])
			{
				my ($when, $least, $sql) = @$step;
				$least -= 0.04 if $nav == 2;
				$node->safe_psql('postgres', $sql) if $sql;
				$node->safe_psql('postgres', 'VACUUM item') if $when eq 'vacuumed';
				my ($recall, $incomplete, $unordered) = measure($type, $operator);
				cmp_ok($recall, '>=', $least, "$name: $when: recall");
				is("$incomplete $unordered", '0 0', "$name: $when: every row once, in order");
				is($node->safe_psql('postgres',
						"SELECT * FROM vecext_index_check('item_v', true) WHERE invariant <> 'H10'"),
					'', "$name: $when: sound");
			}
		}
	}
}
note("$_: $bytes{$_} bytes") for sort keys %bytes;
$node->stop;
done_testing();
