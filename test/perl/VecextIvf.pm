# Writing into the file of an ivfflat index while the server is stopped.  The
# offsets are those of ivf_page.h and ivf_shape(), for blocks that lie on list
# pages and records of one size.
package VecextIvf;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use VecextDamage qw(get_at page_kind PAGE PAGE_START NONE);

our @EXPORT = qw(ivf_meta list_record list_record_at list_at chain_of align8
  META MODEL LIST PART CODE RECORD FREE);

use constant { META => 1, MODEL => 2, LIST => 3, PART => 4, CODE => 5, RECORD => 6, FREE => 7 };
use constant { ROOM => 8192 - 24 - 8 };

sub align8 { return int(($_[0] + 7) / 8) * 8 }

# offsets of the arrays of a list page
sub shape
{
	my ($rows, $record_size, $nwords) = @_;
	my $pages = int(($rows * $record_size + ROOM - 1) / ROOM);
	my %shape = (rows => $rows, record_size => $record_size, records => 24);
	$shape{tids} = 24 + align8(4 * $pages);
	$shape{keys} = $shape{tids} + align8(6 * $rows);
	$shape{blocks} = $shape{keys} + 8 * $nwords * 32 * int(($rows + 31) / 32);
	return \%shape;
}

# nwords: those of filter columns, one more than there are
sub ivf_meta
{
	my ($pages, $nwords) = @_;
	my %meta;
	@meta{qw(dim metric space quantizer refine lists record_size list_rows list_size part_rows
		part_size model_start model_bytes next_id undefined_first undefined_id directory)} =
	  get_at($pages, 0, 16, 'l S4 L*');
	($meta{nlists}, $meta{nparts}, $meta{part}) = get_at($pages, 0, 96, 'L3');
	$meta{list_shape} = shape($meta{list_rows}, $meta{record_size}, $nwords // 0);
	$meta{part_shape} = shape($meta{part_rows}, 16 + 4 * $meta{dim}, 0);
	return \%meta;
}

# block and offset of the directory's record of a list on the first part
sub list_record_at
{
	my ($pages, $meta, $list) = @_;
	my $at = $list * $meta->{part_shape}{record_size};
	my $page = get_at($pages, $meta->{part}, 24 + 4 * int($at / ROOM), 'L');
	return ($page, $at % ROOM);
}

# first page and id of the chain of a list
sub list_record
{
	my ($pages, $meta, $list) = @_;
	return get_at($pages, list_record_at($pages, $meta, $list), 'L2');
}

# first page of a list; the offset of an array on it
sub list_at
{
	my ($pages, $meta, $list, $array) = @_;
	my ($first) = list_record($pages, $meta, $list);
	return ($first, $array ? $meta->{list_shape}{$array} : 0);
}

# list pages of a list, in order
sub chain_of
{
	my ($pages, $meta, $list) = @_;
	my ($blkno) = list_record($pages, $meta, $list);
	my @chain;
	while ($blkno != NONE)
	{
		push @chain, $blkno;
		$blkno = get_at($pages, $blkno, 0, 'L');
	}
	return @chain;
}

1;
