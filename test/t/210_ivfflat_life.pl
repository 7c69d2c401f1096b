# Maintenance of lists: an index made on an empty table, or filled by rows unlike
# those it was made from, comes to answer like a fresh one by vacuum alone; dead
# rows' space is used again.
use strict;
use warnings FATAL => 'all';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;

my $node = vecext_node('main', conf => "autovacuum = off\nfsync = off\n");

sub sql
{
	return $node->safe_psql('postgres', @_);
}

# clustered: one of 60 centers, and a third of another vector
sub vectors
{
	my ($from, $to, $cast, $order) = @_;
	$order //= 'g';
	return "SELECT g, (random_vector(96, g % 60)
		+ random_vector(96, 100000 + g) * array_fill(0.33::real, ARRAY[96])::vector)$cast
		FROM generate_series($from, $to) g ORDER BY $order";
}

sub stat_of
{
	my ($index, $name) = @_;
	return sql("SELECT value FROM vecext_index_stats('$index') WHERE name = '$name'");
}

# part of the ten nearest rows that a search by so many lists finds
sub recall
{
	my ($table, $probes) = @_;
	return sql("SET ivfflat.probes = $probes; SET ivfflat.iterative_scan = off;
		SELECT vecext_recall('${table}_v', 200, 10)");
}

# every row is returned once by a scan of all lists, in order
sub complete
{
	my ($table, $op, $name) = @_;
	my $got = sql("SET enable_seqscan = off; SET ivfflat.probes = 32768;
		SET vecext.enable_topk = off;
		SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE d < before)
		FROM (SELECT id, d, lag(d) OVER (ORDER BY n) AS before
			FROM (SELECT id, d, row_number() OVER () AS n FROM
				(SELECT id, v $op (SELECT v FROM $table WHERE id % 101 = 7 LIMIT 1) AS d
				 FROM $table ORDER BY v $op (SELECT v FROM $table WHERE id % 101 = 7 LIMIT 1)) s) t) u");
	my $n = sql("SELECT count(*) FROM $table");
	is($got, "$n|$n|0", "$name: all rows, once, in order");
	is(sql("SELECT * FROM vecext_index_check('${table}_v', true)"), '', "$name: sound");
}

my $rows = 6000;
for my $case (
	[ 'plain', 'vector(96)', '', 'vector_l2_ops', '<->', '' ],
	[ 'cosine', 'halfvec(96)', '::halfvec', 'halfvec_cosine_ops', '<=>', '' ],
	[ 'product', 'vector(96)', '', 'vector_ip_ops', '<#>', ', quantizer = int8' ],
	[ 'small', 'vector(96)', '', 'vector_l2_ops', '<->', ', refine = int8' ],
	[ 'taxi', 'vector(96)', '', 'vector_l1_ops', '<+>', '' ])
{
	my ($name, $type, $cast, $class, $op, $with) = @$case;
	my $index = "${name}_v";

	sql("CREATE TABLE $name (id int PRIMARY KEY, v $type);
		 CREATE INDEX $index ON $name USING ivfflat (v $class) WITH (lists = 40$with);
		 INSERT INTO $name " . vectors(1, $rows, $cast));
	is(stat_of($index, 'lists'), '1', "$name: one list before vacuum");
	sql("VACUUM $name") for 1 .. 2;
	cmp_ok(stat_of($index, 'lists'), '>=', 20, "$name: vacuum makes lists");
	complete($name, $op, $name);

	my $grown = recall($name, 4);
	sql("REINDEX INDEX $index");
	my $fresh = recall($name, 4);
	cmp_ok($grown, '>=', 0.98 * $fresh, "$name: recall $grown, of a fresh index $fresh");

	# turnover: size and recall stay
	my $size = sql("SELECT pg_relation_size('$index')");
	for my $turn (1 .. 3)
	{
		my $from = $turn * $rows + 1;
		sql("DELETE FROM $name");
		sql("VACUUM $name");
		sql("INSERT INTO $name " . vectors($from, $from + $rows - 1, $cast));
		sql("VACUUM $name");
	}
	sql("VACUUM $name");
	my $after = sql("SELECT pg_relation_size('$index')");
	cmp_ok($after, '<=', 2.6 * $size, "$name: size $after after turnovers, $size before");
	my $turned = recall($name, 4);
	cmp_ok($turned, '>=', 0.95 * $fresh, "$name: recall $turned after turnovers");
	complete($name, $op, "$name after turnovers");
}

# scans and inserts while lists are written anew: no row is lost or seen twice
sql("CREATE TABLE busy (id int PRIMARY KEY, v vector(96));
	 CREATE INDEX busy_v ON busy USING ivfflat (v) WITH (lists = 40);
	 INSERT INTO busy " . vectors(1, 3000, ''));
my $writer = $node->background_psql('postgres');
$writer->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ");
$writer->query_safe("SET enable_seqscan = off; SET ivfflat.probes = 32768; SET vecext.enable_topk = off");
$writer->query_safe("DECLARE c CURSOR FOR SELECT id FROM busy ORDER BY v <-> (SELECT v FROM busy WHERE id = 1)");
my @seen = split /\n/, $writer->query_safe("FETCH 500 FROM c");
sql("INSERT INTO busy " . vectors(3001, 9000, ''));
sql("VACUUM busy") for 1 .. 3;
push @seen, split /\n/, $writer->query_safe("FETCH ALL FROM c");
$writer->query_safe("COMMIT");
$writer->quit;
my %times;
$times{$_}++ for @seen;
is(scalar(keys %times), 3000, 'an old scan sees all its rows');
is(scalar(@seen), 3000, 'and each once');
complete('busy', '<->', 'busy');

# pages of former directories are used again once no scan needs them
sql("VACUUM busy");
cmp_ok(stat_of('busy_v', 'free pages'), '>', 0, 'former pages are free');

# rows that come while vacuum carries others over to new lists, on pages that are
# linked just then; such rows were lost, 50 and more of 30,000
sql(<<'SQL');
CREATE TABLE race (id serial, v vector(16));
CREATE INDEX race_v ON race USING ivfflat (v) WITH (lists = 4);
SQL
my $script = $node->basedir . '/race.sql';
append_to_file($script, "\\set seed random(1, 1000000)\n"
	. "INSERT INTO race (v) SELECT random_vector(16, :seed + g) FROM generate_series(1, 30) g;\n");
my ($out, $err) = ('', '');
my $bench = IPC::Run::start([ 'pgbench', '--no-vacuum', '--client=3', '--random-seed=5', '--time=2',
	"--file=$script", $node->connstr('postgres') ], '>', \$out, '2>', \$err);
my $vacuums = 0;
while ($bench->pumpable)
{
	$bench->pump_nb;
	sql('VACUUM race; DELETE FROM race WHERE id % 3 = 0 AND id < (SELECT max(id) / 2 FROM race)');
	$vacuums++;
}
IPC::Run::finish($bench);
is(sql("SELECT count(*) FROM vecext_index_check('race_v', true)"), '0',
	"no row is lost that was inserted during one of $vacuums vacuums");
cmp_ok(sql('SELECT max(id) FROM race'), '>', 1000, 'rows were inserted') or diag($err);

done_testing();
