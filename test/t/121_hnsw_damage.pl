# Damaged pages: an error of class XX in whatever reads them, never a signal, a
# loop or an Assert; REINDEX cures.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;
use VecextDamage;

my $seed = 20250711;

# the same numbers everywhere (xorshift)
sub random_bits
{
	$seed ^= ($seed << 13) & 0xffffffff;
	$seed ^= $seed >> 17;
	$seed ^= ($seed << 5) & 0xffffffff;
	return $seed;
}

# shape => type, operator class, operator, query, rows; each has chains of rows
my %shape = (
	dense => [ 'vector(24)', 'vector_l2_ops', '<->', 'random_vector(24, 1)',
		"SELECT random_vector(24, g % 500), nullif(g % 20, 0), 't' || g % 7 FROM generate_series(1, 700) g" ],
	long => [ 'vector(3000)', 'vector_l1_ops', '<+>', 'random_vector(3000, 1)',
		'SELECT random_vector(3000, g % 25), g FROM generate_series(1, 60) g' ],
);

my %mode = (
	zero => sub { my ($pages, $blkno) = @_;
		substr($$pages, $blkno * PAGE, PAGE) = "\0" x PAGE; },
	random => sub { my ($pages, $blkno) = @_;
		# the header is kept, or PostgreSQL itself would refuse the page
		substr($$pages, $blkno * PAGE + PAGE_START, PAGE - PAGE_START - 8) =
		  pack('L*', map { random_bits() } 1 .. (PAGE - PAGE_START - 8) / 4); },
	flips => sub { my ($pages, $blkno) = @_;
		for (1 .. 60)
		{
			my $at = $blkno * PAGE + PAGE_START + random_bits() % (PAGE - PAGE_START);
			substr($$pages, $at, 1) = chr(random_bits() & 255);
		} },
	swapped => sub { my ($pages, $blkno) = @_;
		my $other = ($blkno + 1 + random_bits() % (nblocks($pages) - 1)) % nblocks($pages);
		my $page = substr($$pages, $blkno * PAGE, PAGE);
		substr($$pages, $blkno * PAGE, PAGE) = substr($$pages, $other * PAGE, PAGE);
		substr($$pages, $other * PAGE, PAGE) = $page; },
	truncated => sub { my ($pages, $blkno) = @_;
		$$pages = substr($$pages, 0, $blkno * PAGE); },
);

my $node = vecext_node('main', init => [ no_data_checksums => 1 ],
	conf => "autovacuum = off\nrestart_after_crash = off\nstatement_timeout = '30s'\n"
	  . "shared_buffers = 64MB\n");

# an index to learn which blocks there are, then one for each mode and block
my @case;
for my $shape (sort keys %shape)
{
	my ($type, $class, $operator, $query, $rows) = @{ $shape{$shape} };
	my $make = sub {
		my ($name) = @_;
		return "CREATE TABLE $name (v $type, k int, t text); ALTER TABLE $name ALTER v SET STORAGE EXTERNAL;\n"
		  . "INSERT INTO $name $rows;\n"
		  . "CREATE INDEX ${name}_v ON $name USING hnsw (v $class"
		  . ($shape eq 'long' ? '' : ', k, t') . ") WITH (m = 8);\n"
		  . "INSERT INTO $name $rows;\n";
	};
	$node->safe_psql('postgres', $make->("${shape}_0"));
	my $path = index_path($node, "${shape}_0_v");
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $pages = read_pages($path);
	my %blocks;
	push @{ $blocks{ page_kind(\$pages, $_) } }, $_ for 0 .. nblocks(\$pages) - 1;
	my @blocks;
	for my $kind (sort { $a <=> $b } keys %blocks)
	{
		my @of = @{ $blocks{$kind} };
		push @blocks, $of[0];
		push @blocks, $of[ random_bits() % @of ] if @of > 1 && ($kind == NAV || $kind == UPPER);
	}
	for my $mode (sort keys %mode)
	{
		for my $blkno (@blocks)
		{
			my $name = "${shape}_" . (1 + @case);
			$node->safe_psql('postgres', $make->($name));
			push @case, [ $name, $shape, $mode, $blkno, index_path($node, "${name}_v") ];
		}
	}
}

$node->stop;
for my $case (@case)
{
	my ($name, $shape, $mode, $blkno, $path) = @$case;
	my $pages = read_pages($path);
	$mode{$mode}->(\$pages, $blkno);
	write_pages($path, $pages);
}
$node->start;

my %found;
for my $case (@case)
{
	my ($name, $shape, $mode, $blkno) = @$case;
	my ($type, $class, $operator, $query, $rows) = @{ $shape{$shape} };
	my @statement = (
		"SELECT count(*) FROM (SELECT v FROM $name ORDER BY v $operator $query LIMIT 10000) s",
		"SELECT count(*) FROM (SELECT v FROM $name WHERE k < 3 AND t > 't2' ORDER BY v $operator $query) s",
		"INSERT INTO $name $rows",
		"UPDATE $name SET k = k + 1 WHERE k < 5",
		"DELETE FROM $name WHERE ctid < '(2,0)'",
		"VACUUM (PARALLEL 0) $name",
		"SELECT count(*) FROM vecext_index_check('${name}_v')",
		"SELECT count(*) FROM vecext_index_stats('${name}_v')",
		"INSERT INTO $name $rows",
	);
	my $script = "SET enable_seqscan = off; SET hnsw.max_scan_tuples = 100000;\n";
	my @state;
	for my $statement (@statement)
	{
		$script .= "$statement;\n\\echo STATE :SQLSTATE\n";
	}
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0,
		timeout => 240);
	@state = $out =~ /^STATE (\w+)$/mg;
	is(scalar(@state), scalar(@statement), "$shape, $mode, block $blkno: the server is alive")
	  or last;
	my @bad = grep { !/^(00000|XX002|XX001)$/ } @state;
	is("@bad", '', "$shape, $mode, block $blkno: success, or damage is told");
	$found{$mode} += grep { $_ eq 'XX002' } @state;
}
cmp_ok($found{$_} // 0, '>', 0, "$_ pages were found to be damaged, in " . ($found{$_} // 0) .
	' statements') for sort keys %mode;

# REINDEX reads only the table
for my $case (@case)
{
	my $name = $case->[0];
	is( $node->safe_psql('postgres',
			"REINDEX TABLE $name; SELECT * FROM vecext_index_check('${name}_v', true)"),
		'', "$name: sound after REINDEX");
}
$node->stop;
done_testing();
