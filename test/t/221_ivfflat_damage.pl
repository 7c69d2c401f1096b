# Damaged pages: an error of class XX in whatever reads them, never a signal, a
# loop or an Assert; REINDEX cures.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Utils;
use Test::More;
use VecextTest;
use VecextDamage qw(index_path read_pages write_pages nblocks page_kind PAGE PAGE_START);
use VecextIvf;

my $seed = 20261120;

# the same numbers everywhere (xorshift)
sub random_bits
{
	$seed ^= ($seed << 13) & 0xffffffff;
	$seed ^= $seed >> 17;
	$seed ^= ($seed << 5) & 0xffffffff;
	return $seed;
}

# shape => type, operator class, operator, query, value of row g, rows: codes on the
# list page; on pages of their own; none, and records that differ in size
my %shape = (
	dense => [ 'vector(24)', 'vector_l2_ops', '<->', 'random_vector(24, 1)',
		'random_vector(24, g)', 500 ],
	long => [ 'vector(2500)', 'vector_cosine_ops', '<=>', 'random_vector(2500, 1)',
		'random_vector(2500, g)', 50 ],
	sparse => [ 'sparsevec(60)', 'sparsevec_l2_ops', '<->', 'random_vector(60, 1)::sparsevec',
		'random_vector(60, g)::sparsevec', 300 ],
);

my %mode = (
	zero => sub { my ($pages, $blkno) = @_;
		substr($$pages, $blkno * PAGE, PAGE) = "\0" x PAGE; },
	random => sub { my ($pages, $blkno) = @_;
		# header and trailer are kept, or the page would not be looked into
		substr($$pages, $blkno * PAGE + PAGE_START, PAGE - PAGE_START - 8) =
		  pack('L*', map { random_bits() } 1 .. (PAGE - PAGE_START - 8) / 4); },
	flips => sub { my ($pages, $blkno) = @_;
		for my $i (1 .. 60)
		{
			# half of them where counts and addresses are
			my $room = $i % 2 ? 200 : PAGE - PAGE_START;
			my $at = $blkno * PAGE + PAGE_START + random_bits() % $room;
			substr($$pages, $at, 1) = chr(random_bits() & 255);
		} },
	swapped => sub { my ($pages, $blkno) = @_;
		my $other = ($blkno + 1 + random_bits() % (nblocks($pages) - 1)) % nblocks($pages);
		my $page = substr($$pages, $blkno * PAGE, PAGE);
		substr($$pages, $blkno * PAGE, PAGE) = substr($$pages, $other * PAGE, PAGE);
		substr($$pages, $other * PAGE, PAGE) = $page; },
	# a chain that has no end
	cycle => sub { my ($pages, $blkno) = @_;
		substr($$pages, $blkno * PAGE + PAGE_START, 4) = pack('L', $blkno); },
	truncated => sub { my ($pages, $blkno) = @_;
		$$pages = substr($$pages, 0, $blkno * PAGE); },
);

my $node = vecext_node('main', init => [ no_data_checksums => 1 ],
	conf => "autovacuum = off\nrestart_after_crash = off\nstatement_timeout = '30s'\n"
	  . "shared_buffers = 64MB\nfsync = off\n");

# an index to learn which blocks there are, then one for each mode and block
my @case;
for my $shape (sort keys %shape)
{
	my ($type, $class, $operator, $query, $value, $rows) = @{ $shape{$shape} };
	my $make = sub {
		my ($name) = @_;
		my $some = int($rows / 5);
		return "CREATE TABLE $name AS TABLE ${shape}_base;\n"
		  . "CREATE INDEX ${name}_v ON $name USING ivfflat (v $class"
		  . ($shape eq 'long' ? '' : ', k, t') . ") WITH (lists = 3);\n"
		  . "INSERT INTO $name SELECT * FROM ${shape}_base LIMIT $some;\n";
	};
	$node->safe_psql('postgres', "CREATE TABLE ${shape}_base (v $type, k int, t text);
		INSERT INTO ${shape}_base SELECT $value, nullif(g % 20, 0), 't' || g % 7
			FROM generate_series(1, $rows) g;"
		. $make->("${shape}_0"));
	my $path = index_path($node, "${shape}_0_v");
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $pages = read_pages($path);
	my %blocks;
	push @{ $blocks{ page_kind(\$pages, $_) } }, $_ for 0 .. nblocks(\$pages) - 1;
	my (@blocks, $script, @new);
	for my $kind (sort { $a <=> $b } keys %blocks)
	{
		my @of = @{ $blocks{$kind} };
		push @blocks, [ $kind, $of[0] ];
		push @blocks, [ $kind, $of[ random_bits() % @of ] ] if @of > 1 && $kind == LIST;
	}
	for my $mode (sort keys %mode)
	{
		for my $block (@blocks)
		{
			my ($kind, $blkno) = @$block;
			next if $mode eq 'cycle' && $kind != LIST && $kind != PART;
			next if $mode eq 'truncated' && $kind != LIST && $kind != RECORD;
			my $name = "${shape}_" . (1 + @case);
			$script .= $make->($name);
			push @case, [ $name, $shape, $mode, $blkno, $kind ];
		}
	}
	$node->safe_psql('postgres', $script);
}
my %path = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	"SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname ~ '_v\$'");

$node->stop;
for my $case (@case)
{
	my ($name, $shape, $mode, $blkno) = @$case;
	my $path = $node->data_dir . '/' . $path{"${name}_v"};
	my $pages = read_pages($path);
	$mode{$mode}->(\$pages, $blkno);
	write_pages($path, $pages);
}
$node->start;

my %found;
for my $case (@case)
{
	my ($name, $shape, $mode, $blkno, $kind) = @$case;
	my ($type, $class, $operator, $query, $value, $rows) = @{ $shape{$shape} };
	my $what = "$shape, $mode, block $blkno of kind $kind";
	my @statement = (
		"SELECT count(*) FROM vecext_index_check('${name}_v')",
		"SELECT count(*) FROM (SELECT v FROM $name ORDER BY v $operator $query LIMIT 10000) s",
		"SELECT count(*) FROM (SELECT v FROM $name WHERE k < 3 AND t > 't2' ORDER BY v $operator $query) s",
		"INSERT INTO $name SELECT $value FROM generate_series(1, $rows / 2) g",
		"DELETE FROM $name WHERE ctid < '(2,0)'",
		"VACUUM (INDEX_CLEANUP ON, PARALLEL 0) $name",
		"INSERT INTO $name SELECT $value FROM generate_series(1, $rows) g",
		"VACUUM (INDEX_CLEANUP ON, PARALLEL 0) $name",
		"SELECT count(*) FROM (SELECT v FROM $name ORDER BY v $operator $query LIMIT 10000) s",
		"SELECT count(*) FROM vecext_index_check('${name}_v')",
		"SELECT count(*) FROM vecext_index_stats('${name}_v')",
	);
	my $script = "SET enable_seqscan = off; SET vecext.enable_topk = off;\n";
	$script .= "$_;\n\\echo STATE :SQLSTATE\n" for @statement;
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0,
		timeout => 400);
	my @state = $out =~ /^STATE (\w+)$/mg;
	is(scalar(@state), scalar(@statement), "$what: the server is alive")
	  or last;
	# 55000: the format is of a version to come
	my $ok = $kind == META ? qr/^(00000|XX00[12]|55000)$/ : qr/^(00000|XX00[12])$/;
	my @bad = grep { $state[$_] !~ $ok } 0 .. $#state;
	is(join(', ', map { "$state[$_] by $statement[$_]" } @bad), '',
		"$what: success, or damage is told");
	$found{$mode} += grep { $_ eq 'XX002' } @state;
}
cmp_ok($found{$_} // 0, '>', 0, "$_ pages were found to be damaged, in " . ($found{$_} // 0) .
	' statements') for sort keys %mode;

# REINDEX reads only the table
$node->safe_psql('postgres', join '', map { "REINDEX TABLE $_->[0];\n" } @case);
is( $node->safe_psql('postgres', join ' UNION ALL ',
		map { "SELECT '$_->[0]', * FROM vecext_index_check('$_->[0]_v', true)" } @case),
	'', 'all are sound after REINDEX');
$node->stop;
done_testing();
