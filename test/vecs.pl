# Reads the TexMex files in test/data/siftsmall.  Needs nothing but perl-base.
#
#	vecs.pl items BASE		rows for COPY items: id, category_id, price, embedding
#	vecs.pl queries QUERY		one "EXECUTE nearest(...)" per query
#	vecs.pl recall BASE QUERY TRUTH RESULT
#		recall@10 of RESULT, lines "query|id" in any order
use strict;
use warnings FATAL => 'all';

my ($command, @files) = @ARGV;

# the rows of an .fvecs or .ivecs file, still packed
sub packed_rows
{
	my ($file) = @_;
	open(my $fh, '<:raw', $file) or die "$file: $!\n";
	my $bytes = do { local $/; <$fh> };
	my $dim = unpack('l<', $bytes);
	my $size = 4 + 4 * $dim;
	die "$file: not a whole number of rows\n" if $dim < 1 || length($bytes) % $size;
	return map { substr($bytes, $_ * $size + 4, $size - 4) } 0 .. length($bytes) / $size - 1;
}

sub literal { '[' . join(',', unpack('f<*', $_[0])) . ']' }

# exact: the elements are integers
sub distance_squared
{
	my @a = unpack('f<*', $_[0]);
	my @b = unpack('f<*', $_[1]);
	my $sum = 0;
	$sum += ($a[$_] - $b[$_])**2 for 0 .. $#a;
	return $sum;
}

sub recall
{
	my ($base_file, $query_file, $truth_file, $result_file) = @_;
	my @base = packed_rows($base_file);
	my @query = packed_rows($query_file);
	my @truth = packed_rows($truth_file);
	my %found;

	open(my $fh, '<', $result_file) or die "$result_file: $!\n";
	while (<$fh>)
	{
		my ($query, $id) = /^(\d+)\|(\d+)$/ or die "$result_file: unexpected line $_";
		$found{$query}{$id} = 1;
	}

	# Equal distances may come in any order: what counts is to be as near as
	# the true tenth.
	my $hits = 0;
	for my $q (0 .. $#query)
	{
		my $tenth = (unpack('l<*', $truth[$q]))[9];
		my $limit = distance_squared($query[$q], $base[$tenth]);
		my @ids = keys %{ $found{$q} };
		die "query $q: more than 10 rows\n" if @ids > 10;
		$hits += grep { distance_squared($query[$q], $base[$_]) <= $limit } @ids;
	}
	printf "%.4f\n", $hits / (10 * @query);
}

if ($command eq 'items')
{
	my $id = 0;
	for my $row (packed_rows(@files))
	{
		printf "%d\t%d\t%.2f\t%s\n", $id, $id % 8 + 1, 5 + $id * 37 % 9000 / 100, literal($row);
		$id++;
	}
}
elsif ($command eq 'queries')
{
	my $id = 0;
	printf "EXECUTE nearest(%d, '%s');\n", $id++, literal($_) for packed_rows(@files);
}
elsif ($command eq 'recall')
{
	recall(@files);
}
else
{
	die "unknown command\n";
}
